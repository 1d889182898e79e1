"""A stranger's reward with several values and a map, step and trainer, and a step without a run: one contract."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import EntryPoint

import pandas as pd
import pytest
import realism
from PIL import Image
from realism import Step, hook
from realism.base.errors import RealismError, RecipeError
from realism.base.tables import read
from realism.data.artifacts import Maps, Measures, Samples, ScoreTable
from realism.data.rows import Measure, PromptRow, Sample
from realism.data.types import Prompt
from realism.plugins.manager import Plugins, installed
from realism.testing import run_step, work_with


def brightness(root, sample):
    with Image.open(root / sample.image) as image:
        return sum(image.convert("L").tobytes())


@dataclass
class Darkest(Step):
    """Keep of each prompt the darkest sample."""

    arm: str = "samples"  # which samples
    forgets: bool = False  # says that it writes something, and does not

    scope = "recipe"

    def title(self):
        return "darkest"

    def reads(self, available):
        return [Samples(self.arm)]

    def writes(self, available):
        return [Samples(self.arm), *([Measures("never")] if self.forgets else [])]

    def run(self, work):
        darkest = partial(min, key=partial(brightness, work.root))
        work.map_groups(Samples(self.arm), "prompt_id", lambda group: [darkest(group)])


@hook
def realism_register(registry):
    registry.step("darkest", "test_new_contract:Darkest")


@pytest.fixture
def with_darkest(toy_plugins):
    return Plugins([*installed(), *(EntryPoint(n, n, "realism") for n in ("toys", "test_new_contract"))])


ALL = """\
parts:
  generator: {use: toy_learner, grey: 120, noise: 40}
  critic: {use: toy_critic}
  photos: {use: image_folder, path: DATABASE}
prompts: {use: toy_prompts, count: 8}
steps:
  - generate: {per_prompt: 4}
  - photographs: {images: photos}
  - score: {rewards: [critic]}
  - evaluate: {name: all, control: real}
  - darkest
  - train: {trainer: toy_trainer, steps: 5}
  - repeat: [2, 4]
    steps:
      - generate: {name: "{value} after", per_prompt: "{value}"}
  - score: {rewards: [critic], arms: [samples, 2 after, 4 after]}
  - evaluate: {arms: [samples, 2 after, 4 after], name: learnt}
  - report
"""


def test_a_reward_with_maps_a_step_and_a_trainer_of_strangers_run_in_one_recipe(
    write_recipe, tmp_path, with_darkest, monkeypatch
):
    from realism.recipe.recipe import read_recipe
    from realism.runs.progress import View
    from realism.runs.run import Run

    recipe = read_recipe(str(write_recipe(ALL)), [], with_darkest.registry)
    done = Run(recipe, tmp_path / "run", with_darkest, View(quiet=True))
    state = done.execute()
    assert Maps("2 after", "critic") in state and ScoreTable("4 after", "critic.brightness") in state
    kept = list(read(state.path(Samples("samples")), Sample))
    assert len(kept) == len({s.prompt_id for s in kept}) == 8
    page = (done.folder / "report.html").read_text()
    assert "critic.brightness (all)" in page and "critic.brightness (learnt)" in page and "critic.dark" in page
    real = {m.arm: m for m in read(state.path(Measures("all")), Measure) if m.name == "critic.plausibility"}
    assert real["real"].value == 1 and real["samples"].control == "real" and real["samples"].n == 32


def test_a_step_is_tested_without_a_run(tmp_path):
    samples = []
    for i in range(6):
        Image.new("RGB", (4, 4), (40 * i,) * 3).save(tmp_path / f"{i}.png")
        samples.append(Sample(f"s{i}", f"p{i // 3}", "samples", "text", "", i, f"{i}.png", 4, 4))
    done = run_step(Darkest(), tmp_path, {Samples("samples"): samples})
    assert [s.id for s in done.read(Samples("samples"))] == ["s0", "s3"]


def test_a_step_that_does_not_write_what_it_says_is_named(write_recipe, tmp_path, with_darkest):
    from realism.recipe.recipe import read_recipe
    from realism.runs.progress import View
    from realism.runs.run import Run

    text = ALL[: ALL.index("  - photographs")] + "  - darkest: {forgets: true}\n"
    recipe = read_recipe(str(write_recipe(text)), [], with_darkest.registry)
    with pytest.raises(RealismError, match="step 'darkest' says that it writes measure 'never', but has not"):
        Run(recipe, tmp_path / "run", with_darkest, View(quiet=True)).execute()


def test_what_a_shard_of_each_step_needs_can_be_sent_to_another_process(run, write_recipe, monkeypatch):
    from realism.runs.work import StepWork
    from world import RAG

    sent: list[str] = []
    original = StepWork.map

    def sending(self, target, shards, call, **options):
        sent.append(self.title)
        return original(self, target, shards, pickle.loads(pickle.dumps(call)), **options)  # noqa: S301

    monkeypatch.setattr(StepWork, "map", sending)
    run(
        write_recipe(RAG.replace("- report", "- select: {best: colour}\n  - project: {encoder: retriever}\n  - report"))
    )
    verbs = {title.split()[0] for title in sent}
    assert verbs == {"prompts", "index", "generate", "retrieve", "score", "evaluate", "select", "project"}


def test_a_run_is_opened_to_be_read(run, write_recipe):
    from world import RAG

    done = run(write_recipe(RAG.replace("prompts:", "seeds: 2\nprompts:")))
    opened = realism.open_run(done.folder)
    scores = opened["scores"].to_pandas()
    assert {"arm", "reward", "value"} <= set(scores) and set(scores.arm) == {"none", "retrieved"}
    assert scores.groupby("arm").value.mean()["retrieved"] > scores.groupby("arm").value.mean()["none"]
    assert len(scores) == sum(1 for _ in opened["scores"]) == 12 + 24
    colour = opened[ScoreTable("none", "colour")].to_pandas()
    assert set(colour.reward) == {"colour"} and len(colour) == 12
    other = realism.open_run(str(done.folder), seed=1)["samples"].to_pandas()
    assert set(other.seed) & set(opened["samples"].to_pandas().seed) == set()
    assert isinstance(opened["measures"].to_pandas(), pd.DataFrame)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("scroes", "no 'scroes' in this run; did you mean 'scores'?; available: measures, prompts"),
        ("index", "'index' is no table; available: measures"),
        (Samples("nowhere"), "no arm 'nowhere'; arms here: none, retrieved"),
    ],
)
def test_what_a_run_has_not_is_said_with_what_it_has(run, write_recipe, what, said):
    from world import RAG

    with pytest.raises(RealismError) as error:
        realism.open_run(run(write_recipe(RAG)).folder)[what]
    assert str(error.value).startswith(said)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RealismError, match="is not the folder of a run"):
        realism.open_run(tmp_path)


def test_photographs_are_of_the_prompts_subjects_and_those_without_are_skipped(tmp_path, database):
    from realism.sources.image_folder import ImageFolder
    from realism.steps.photographs import Photographs

    photos = ImageFolder(str(database))
    prompts = [PromptRow(f"p{i}", "a text", subject) for i, subject in enumerate(["red", "blue", "", "violet"])]
    step = Photographs(photos, per_prompt=2)
    rows = list(run_step(step, tmp_path, {realism.artifacts.PromptTable(): prompts}).read(Samples("real")))
    assert [s.prompt_id for s in rows] == ["p0", "p0", "p1", "p1", "p2", "p2"], "violet has no photograph"
    assert all(s.subject in s.image for s in rows)
    assert len({s.image for s in rows if s.prompt_id == "p0"}) == 2
    (tmp_path / "many").mkdir()
    one = {realism.artifacts.PromptTable(): prompts[:1]}
    many = list(run_step(replace(step, per_prompt=9), tmp_path / "many", one).read(Samples("real")))
    assert len(many) == len({s.image for s in many}) == 6, "each of the six that show red, none twice"
    alone = run_step(Photographs(photos, "alone"), tmp_path, {})
    assert {s.text for s in alone.read(Samples("alone"))} == {"red", "green", "blue", "grey"}


@pytest.mark.parametrize(
    ("repeat", "said"),
    [
        ("[]", "expected how often, a whole number from 1 to 1000, or a list of values"),
        ("[[1], 2]", "or a list of values"),
        ("{a: 1}", "or a list of values"),
    ],
)
def test_what_cannot_be_repeated_is_said(read, write_recipe, repeat, said):
    text = f"parts: {{generator: {{use: toy}}}}\nsteps:\n  - repeat: {repeat}\n    steps: [generate]\n"
    with pytest.raises(RecipeError, match=said):
        read(write_recipe(text))


def test_keys_of_a_repeated_value_are_filled_in_and_numbers_stay_numbers(read, write_recipe):
    recipe = read(
        write_recipe(
            "parts: {generator: {use: toy}}\nprompts: toy_prompts\nsteps:\n"
            "  - repeat: [{call: one, count: 3}, {call: two, count: 5}]\n"
            "    steps:\n      - generate: {name: '{call} of {iteration}', per_prompt: '{count}'}\n"
        )
    )
    assert [(s.name, s.per_prompt) for s in recipe.steps[1:]] == [("one of 1", 3), ("two of 2", 5)]


def test_a_step_can_be_given_what_lies_elsewhere(tmp_path):
    work = work_with(tmp_path, {Samples("a"): tmp_path / "elsewhere"})
    assert work.path(Samples("a")) == tmp_path / "elsewhere" and not list(work.read(Samples("a")))
    assert Prompt("p", "asked", rewritten="drawn").text == "asked"
