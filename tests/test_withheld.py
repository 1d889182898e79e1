"""Pictures that a model withholds, or that come out broken, are skipped and said, and never taken for samples."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import examples
import pytest
import tiny
import torch
from PIL import Image
from realism import Generator, Prompt, Request, Unmade
from realism.data.artifacts import PromptTable, Samples
from realism.data.rows import PromptRow
from realism.steps.generate import Generate
from realism.testing import GeneratorSuite, run_step
from realism_generators.flux import Flux
from realism_generators.stable_diffusion import StableDiffusion

TEXTS = ("a rose", "a daisy", "sand")
PROMPTS = [PromptRow(str(i), text) for i, text in enumerate(TEXTS)]
REQUESTS = [Request(Prompt(row.id, row.text), i) for i, row in enumerate(PROMPTS)]
FAST = {"device": "cpu", "dtype": "float32", "steps": 1}


@pytest.fixture
def checked(tmp_path) -> StableDiffusion:
    """Stable Diffusion with its safety checker, which has yet to be told what it takes for unsafe."""
    import tiny_pipelines

    folder = shutil.copytree(examples.pipeline("stable_diffusion"), tmp_path / "model")
    return StableDiffusion(model=str(tiny_pipelines.with_safety_checker(Path(folder))), **FAST)


def watch_for(generator: StableDiffusion, pictures: list[Image.Image], which: int) -> None:
    """Let the safety checker take for unsafe what looks as one of these pictures does, and not as the others."""
    checker, processor = generator.pipeline.safety_checker, generator.pipeline.feature_extractor
    with torch.no_grad():
        rows = checker.visual_projection(checker.vision_model(processor(pictures, return_tensors="pt").pixel_values)[1])
        concept = rows[which] - rows.mean(0)
        first, second = torch.cosine_similarity(rows, concept[None]).topk(2).values
        checker.concept_embeds.copy_(concept.expand_as(checker.concept_embeds))
        checker.concept_embeds_weights.fill_((first + second) / 2)


def test_a_picture_that_the_safety_checker_blackens_is_unmade_and_others_are_not(checked):
    plain = StableDiffusion(model=examples.pipeline("stable_diffusion"), **FAST).generate(REQUESTS)
    watch_for(checked, plain, 1)
    made = checked.generate(REQUESTS)
    assert made[1] == Unmade("the model's safety checker flagged it and made it black")
    assert made[0].tobytes() == plain[0].tobytes() and made[2].tobytes() == plain[2].tobytes()
    assert [checked.generate([request])[0] for request in REQUESTS][1] == made[1]


def test_it_is_skipped_with_its_reason_and_the_step_goes_on(checked, tmp_path):
    from realism.base.images import read_image
    from realism.runs.work import skipped_rows

    (tmp_path / "first").mkdir()
    (tmp_path / "run").mkdir()
    first = run_step(Generate(checked), tmp_path / "first", {PromptTable(): PROMPTS})
    pictures = [read_image(first.root / sample.image) for sample in first.read(Samples("samples"))]
    watch_for(checked, pictures, 1)
    done = run_step(Generate(checked), tmp_path / "run", {PromptTable(): PROMPTS})
    assert [sample.prompt_id for sample in done.read(Samples("samples"))] == ["0", "2"]
    (skipped,) = skipped_rows(done.folder)
    assert "safety checker" in skipped.reason and skipped.id.startswith("1-")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_picture_of_numbers_that_are_not_finite_is_unmade(value):
    for part in (StableDiffusion(model=examples.pipeline("stable_diffusion"), **FAST), Flux(examples.flux(), **FAST)):
        network = part.pipeline.components.get("unet") or part.pipeline.transformer
        with torch.no_grad():
            list(network.parameters())[-1].fill_(value)
        assert [made.reason[:49] for made in part.generate(REQUESTS)] == [
            "the model computed numbers that are not finite (N"
        ] * 3


@dataclass
class Painter(Generator):
    """Paints what a prompt asks for: sand, of one colour throughout, or what is no sand; roses it refuses."""

    def generate(self, requests):
        return [self._of(request) for request in requests]

    def _of(self, request):
        if request.text == "a rose":
            return Unmade("no roses")
        return Image.new("RGB", (8, 8), (9, 8, 7)) if request.text == "sand" else tiny.picture(request.seed % 99)


def test_pictures_of_one_colour_are_counted_and_said_once_a_step(tmp_path):
    rows = [PromptRow(str(i), TEXTS[i % 3]) for i in range(9)]
    done = run_step(Generate(Painter(), name="mine", shard=2), tmp_path, {PromptTable(): rows})
    assert len(list(done.read(Samples("mine")))) == 6
    assert done.run.warnings == ["generate mine: 3 pictures of arm 'mine' are of one colour throughout; there are 6"]


def test_nothing_is_said_where_no_picture_is_of_one_colour(tmp_path):
    done = run_step(Generate(Painter()), tmp_path, {PromptTable(): [PromptRow("1", "a daisy")]})
    assert done.run.warnings == []


@dataclass
class Shy(Painter):
    """Paints daisies, and none of any other."""

    def _of(self, request):
        return Unmade("no") if request.seed % 2 else tiny.picture(request.seed % 99, (8, 8))


class TestShy(GeneratorSuite):
    """A generator that makes some pictures alone keeps to the contract."""

    @pytest.fixture
    def part(self):
        return Shy()
