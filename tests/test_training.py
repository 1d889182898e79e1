"""What a user relies on while something learns: curves, and parts that are trained together."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from realism import open_run
from realism.base.errors import RealismError
from realism.data.artifacts import Curves, Weights

RECIPE = """\
parts:
  learner: {use: toy_learner}
  teacher: {use: toy_trainer, generator: learner}
prompts: {use: toy_prompts, count: 3}
steps:
  - generate: {generator: learner}
  - train: {trainer: teacher, steps: 20}
  - train: {trainer: teacher, steps: 3}
"""


def points(folder, part="learner", fit=1):
    """The curves of a fit: by name, step -> value."""
    curves: dict[str, dict[int, float]] = {}
    for row in open_run(folder)[Curves(part, fit)]:
        assert row.step not in curves.setdefault(row.name, {}), "no step stands twice in a curve"
        curves[row.name][row.step] = row.value
    return curves


def test_loss_rate_gradient_and_what_the_module_logs_are_curves(run, write_recipe):
    curves = points(run(write_recipe(RECIPE)).folder)
    assert set(curves) == {"loss", "learning_rate", "gradient_norm", "distance"}
    greys = [200 * (1 - 0.5**k) for k in range(20)]  # gradient descent halves the distance at each step
    for k, grey in enumerate(greys, 1):
        assert curves["distance"][k] == pytest.approx(200 - grey, rel=1e-4)
        assert curves["loss"][k] == pytest.approx((200 - grey) ** 2, rel=1e-4)
        assert curves["gradient_norm"][k] == pytest.approx(2 * (200 - grey), rel=1e-4)
        assert curves["learning_rate"][k] == 0.25
    assert all(list(curve) == list(range(1, 21)) for curve in curves.values())


def test_the_fits_of_a_part_are_counted(run, write_recipe):
    folder = run(write_recipe(RECIPE)).folder
    assert list(points(folder, fit=2)["loss"]) == [1, 2, 3]


@pytest.mark.parametrize("at", [5, 7, 12])
def test_a_killed_fit_ends_with_the_curves_of_an_undisturbed_one(run, write_recipe, monkeypatch, at):
    import toys_learning

    monkeypatch.setattr(toys_learning.ToyTrainer, "checkpoint_every", 5)
    calm = points(run(write_recipe(RECIPE), out="calm").folder)
    step, calls = toys_learning.GreyModule.training_step, []

    def killed(self, batch, number):
        calls.append(number)
        if len(calls) == at + 1:
            raise RuntimeError("killed")
        return step(self, batch, number)

    with monkeypatch.context() as patch, pytest.raises(RealismError, match="killed"):
        patch.setattr(toys_learning.GreyModule, "training_step", killed)
        run(write_recipe(RECIPE), out="killed")
    assert points(run(write_recipe(RECIPE), out="killed").folder) == calm


@pytest.mark.parametrize("at", [6, 8, 10, 13])
def test_a_killed_fit_goes_on_with_the_batches_that_were_left(run, write_recipe, monkeypatch, at):
    """Twelve rows in shuffled batches of 2, so that 15 steps are two epochs and a half."""
    import toys_learning
    from torch.utils.data import DataLoader

    def shuffled(self, work):
        return DataLoader(torch.arange(12.0)[:, None], batch_size=2, shuffle=True)

    def step(self, batch, number):
        calls.append(number)
        if len(calls) > most:
            raise RuntimeError("killed")
        self.log("first", batch[0, 0])
        return ((self.grey - batch) ** 2).mean()

    monkeypatch.setattr(toys_learning.ToyTrainer, "checkpoint_every", 4)
    monkeypatch.setattr(toys_learning.ToyTrainer, "data", shuffled)
    monkeypatch.setattr(toys_learning.GreyModule, "training_step", step)
    recipe, calls = RECIPE.replace("steps: 20", "steps: 15"), []
    most = 10**6
    calm = points(run(write_recipe(recipe), out="calm").folder)
    calls, most = [], at
    with pytest.raises(RealismError, match="killed"):
        run(write_recipe(recipe), out="killed")
    most = 10**6
    assert points(run(write_recipe(recipe), out="killed").folder) == calm
    firsts = list(calm["first"].values())
    assert len(firsts) == 15 and firsts[:6] != firsts[6:12], "each epoch has an order of its own"


def test_the_loss_of_a_step_is_the_mean_of_its_batches(run, write_recipe, monkeypatch):
    import toys_learning

    monkeypatch.setattr(toys_learning.ToyTrainer, "fit_options", lambda _: {"accumulate_grad_batches": 2})
    curves = points(run(write_recipe(RECIPE)).folder)
    assert list(curves["loss"])[:3] == [1, 2, 3] and len(curves["loss"]) == 20
    assert curves["loss"][1] == pytest.approx(200**2)


def test_a_long_fit_has_as_few_points_as_fit_on_a_page_evenly_and_the_last():
    from realism.steps.train_curves import MOST_POINTS, Curve

    curve, seen = Curve(), 10 * MOST_POINTS + 7
    for step in range(1, seen + 1):
        curve.add(step, math.sqrt(step))
        curve.add(step, math.sqrt(step))  # as a resumed fit may
    steps = [step for step, value in curve.points() if value == math.sqrt(step)]
    assert MOST_POINTS / 2 <= len(steps) <= MOST_POINTS + 1
    assert steps[0] == 1 and steps[-1] == seen
    assert len({b - a for a, b in itertools.pairwise(steps[:-1])}) == 1


PAIR = """\
parts:
  one: {use: toy_learner}
  other: {use: toy_learner}
  teacher: {use: toy_pair_trainer, generator: one, second: other, steps: 30}
prompts: {use: toy_prompts, count: 2}
steps:
  - generate: {generator: one, name: before}
  - train: {trainer: teacher}
  - generate: {generator: one, name: first}
  - generate: {generator: other, name: second}
"""


def test_a_trainer_may_teach_two_parts_and_each_uses_what_it_has_learnt(run, write_recipe):
    from PIL import Image

    done = run(write_recipe(PAIR))
    assert [step.title for step in done.steps if step.title.startswith("train")] == ["train one, other"]
    state = open_run(done.folder)
    greys = {sample.arm: Image.open(done.folder / sample.image).getpixel((0, 0))[0] for sample in state["samples"]}
    assert greys == {"before": 0, "first": 200, "second": 100}
    assert list(points(done.folder, "one")["loss"]) == list(range(1, 31))
    weights = {path.name for path in done.folder.glob("steps/train-*/weights/*")}
    assert weights == {Weights("one").name, Weights("other").name}


def test_the_newest_loss_stands_beside_the_bar(write_recipe, read, toy_plugins, tmp_path, monkeypatch):
    import io

    from realism.runs import progress
    from realism.runs.run import Run
    from rich.console import Console

    console = Console(file=io.StringIO(), force_terminal=True, width=150)
    noted, note = [], progress.Bar.note
    monkeypatch.setattr(progress.Bar, "note", lambda bar, text: (noted.append(text), note(bar, text)))
    Run(read(write_recipe(RECIPE)), tmp_path / "run", toy_plugins, progress.View(console)).execute()
    assert noted[0] == "loss 4e+04" and len(noted) == 23
    assert "loss" in console.file.getvalue()


def test_an_argument_of_lightning_that_the_step_sets_is_named(run, write_recipe, monkeypatch):
    import toys_learning

    monkeypatch.setattr(toys_learning.ToyTrainer, "fit_options", lambda _: {"callbacks": [], "precision": "32-true"})
    with pytest.raises(RealismError, match=r"fit_options gave callbacks, which the step sets; .*'configure_callbacks'"):
        run(write_recipe(RECIPE))


def test_callbacks_of_a_module_are_called_beside_those_of_the_step(run, write_recipe, monkeypatch):
    import toys_learning
    from lightning.pytorch.callbacks import LambdaCallback

    def note(trainer, module, *_):
        module.log("mine", float(trainer.global_step))

    callback = LambdaCallback(on_train_batch_end=note)
    monkeypatch.setattr(toys_learning.GreyModule, "configure_callbacks", lambda _: [callback])
    assert points(run(write_recipe(RECIPE)).folder, fit=2)["mine"] == {1: 1, 2: 2, 3: 3}


def test_a_fit_that_diverges_says_so(run, write_recipe, monkeypatch):
    import toys_learning

    step = toys_learning.GreyModule.training_step
    monkeypatch.setattr(toys_learning.GreyModule, "training_step", lambda *given: step(*given) * math.nan)
    with pytest.raises(
        RealismError, match="the fit of 'learner' diverged: grey is not finite; lower the learning rate"
    ):
        run(write_recipe(RECIPE))
