"""What a generator draws of fixed prompts while it learns: pictures of its weights then, and no part of the fit."""

from __future__ import annotations

import examples
import pytest
import torch
import toys_learning
from lightning.pytorch.callbacks import LambdaCallback
from PIL import Image
from realism import Request, open_run
from realism.base.errors import RealismError, RecipeError
from realism.data.artifacts import Curves, Snapshots
from realism_generators.lora import LoRATrainer
from tiny_learning import ROSE, fitted, made

TOY = """\
parts:
  learner: {use: toy_learner, noise: 9}
  teacher: {use: toy_trainer, generator: learner}
prompts: {use: toy_prompts, count: 3}
steps:
  - generate: {generator: learner}
  - train: {trainer: teacher, steps: 7, snapshots: {every: 3, prompts: 2}}
  - generate: {generator: learner, name: after}
"""
LORA = """\
parts:
  generator: {use: sd, model: MODEL, dtype: float32, device: cpu, steps: 2, size: 32, lora: {rank: 2, scale: 0.5}}
prompts: {use: toy_prompts, count: 3}
steps:
  - generate: {}
  - train: {trainer: lora, steps: 3, batch: 2, accumulate: 1, learning_rate: 0.03, snapshots: {every: 2, prompts: 2}}
  - generate: {name: after}
"""


def snapshots(folder, part):
    """The pictures of a fit by step and prompt, and the rows."""
    rows = list(open_run(folder)[Snapshots(part, 1)])
    return {(row.step, row.prompt_id): Image.open(folder / row.image).tobytes() for row in rows}, rows


def drawn(folder, arm):
    samples = [sample for sample in open_run(folder)["samples"] if sample.arm == arm]
    return {sample.prompt_id: Image.open(folder / sample.image).tobytes() for sample in samples}


def learnt(folder):
    return [path.read_bytes() for path in sorted(folder.glob("steps/train-*/weights/*/*"))]


def sd(text=LORA):
    return text.replace("MODEL", examples.pipeline("stable_diffusion"))


def test_the_first_are_those_of_generate_before_and_the_last_those_after(run, write_recipe):
    folder = run(write_recipe(TOY)).folder
    pictures, rows = snapshots(folder, "learner")
    assert [row.step for row in rows] == [0, 0, 3, 3, 6, 6, 7, 7]
    before, after = drawn(folder, "samples"), drawn(folder, "after")
    for row in rows[:2]:
        assert pictures[0, row.prompt_id] == before[row.prompt_id]
        assert pictures[7, row.prompt_id] == after[row.prompt_id]
        assert pictures[3, row.prompt_id] not in (before[row.prompt_id], after[row.prompt_id])
    assert rows[0].text == "a red square number 0"


@pytest.mark.parametrize("averaged", [False, True])
def test_an_adapter_in_training_draws_and_learns_the_same_bytes_as_without_drawing(run, write_recipe, averaged):
    more = ["steps[1].train.ema_decay=0.9"] if averaged else []
    folder = run(write_recipe(sd()), *more, out="drawing").folder
    without = run(write_recipe(sd()), *more, "steps[1].train.snapshots.every=0", out="calm").folder
    assert learnt(folder) == learnt(without)
    assert list(open_run(folder)[Curves("generator", 1)]) == list(open_run(without)[Curves("generator", 1)])
    pictures, rows = snapshots(folder, "generator")
    assert [row.step for row in rows] == [0, 0, 2, 2, 3, 3]
    before, after = drawn(folder, "samples"), drawn(folder, "after")
    for row in rows[:2]:
        assert pictures[0, row.prompt_id] == before[row.prompt_id]
        assert pictures[3, row.prompt_id] == after[row.prompt_id] != before[row.prompt_id]


@pytest.mark.parametrize("name", ["sdxl", "sd3", "flux", "flux-kontext", "amused"])
def test_every_family_draws_while_it_learns(name, tmp_path):
    weights = []
    for drawing in (False, True):
        trainer = LoRATrainer(made(name), steps=2, batch=2, accumulate=1, learning_rate=0.03)
        (folder := tmp_path / str(drawing)).mkdir()
        seen: list[bytes] = []

        def draw(_, module, *more, trainer=trainer, seen=seen):
            (picture,) = trainer.draw(module, [Request(ROSE, 7)])
            seen.append(picture.tobytes())

        callbacks = [LambdaCallback(on_train_start=draw, on_train_batch_end=draw)] if drawing else []
        _, saved = fitted(trainer, folder, callbacks=callbacks)
        weights.append([path.read_bytes() for path in saved.iterdir()])
    assert weights[0] == weights[1]
    trainer.generator.use_weights(saved)
    assert len(set(seen)) == 3
    assert seen[-1] == trainer.generator.generate([Request(ROSE, 7)])[0].tobytes()


def test_what_a_generator_draws_at_random_changes_nothing(run, write_recipe, monkeypatch):
    """A fit that draws from torch's own generator, and a generator that does so too."""

    def training_step(self, batch, _):
        return ((self.grey - 200 * torch.rand(1)) ** 2).mean()

    monkeypatch.setattr(toys_learning.GreyModule, "training_step", training_step)
    calm = run(write_recipe(TOY), "steps[1].train.snapshots.every=0", out="calm").folder
    generate = toys_learning.ToyLearner.generate
    monkeypatch.setattr(
        toys_learning.ToyLearner, "generate", lambda self, requests: (torch.rand(3), generate(self, requests))[1]
    )
    assert learnt(run(write_recipe(TOY), out="drawing").folder) == learnt(calm)


@pytest.mark.parametrize("at", [2, 5])
def test_a_killed_fit_ends_with_the_snapshots_of_an_undisturbed_one(run, write_recipe, monkeypatch, at):
    monkeypatch.setattr(toys_learning.ToyTrainer, "checkpoint_every", 3)
    calm = snapshots(run(write_recipe(TOY), out="calm").folder, "learner")
    step, calls = toys_learning.GreyModule.training_step, []

    def killed(self, batch, number):
        calls.append(number)
        if len(calls) == at:
            raise RuntimeError("killed")
        return step(self, batch, number)

    with monkeypatch.context() as patch, pytest.raises(RealismError, match="killed"):
        patch.setattr(toys_learning.GreyModule, "training_step", killed)
        run(write_recipe(TOY), out="killed")
    assert snapshots(run(write_recipe(TOY), out="killed").folder, "learner") == calm


def test_what_is_no_generator_has_nothing_to_draw(read, write_recipe):
    recipe = """\
parts:
  database: {use: image_folder, path: DATABASE}
  clip: {use: toy_retriever}
  real: {use: projected, encoder: clip, width: 16, index: toy_index}
prompts: {use: toy_prompts, count: 3}
steps:
  - index: {retriever: clip}
  - train: {trainer: {use: reflective, retriever: real, negatives: none}, snapshots: {every: 2}}
"""
    with pytest.raises(RecipeError, match="snapshots: 'real' is no generator, so it has nothing to draw"):
        read(write_recipe(recipe))
