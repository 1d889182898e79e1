"""The suites of realism.testing find what breaks a contract, and say it in the user's words."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image
from realism import Generator, ReferenceReward, Retriever, Reward, SetMetric
from realism.plugins.registry import PART_FAMILIES
from realism.testing import GeneratorSuite, IndexSuite, RetrieverSuite, RewardSuite, SetMetricSuite, suite_of
from realism_retrievers.flat import Flat


@dataclass
class Brightness(Reward):
    """Mean grey of the image, 0 to 1."""

    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    size: int = 8  # images are resized to this many pixels first

    def score(self, images, prompts):
        import torch

        return torch.tensor([np.asarray(i.convert("L").resize((self.size,) * 2)).mean() / 255 for i in images]).float()


class TestBrightness(RewardSuite):
    """What a stranger writes: nothing but the part."""

    @pytest.fixture
    def part(self):
        return Brightness()


def spoilt(base, **methods):
    """A subclass of a good part that does one thing wrong."""
    methods["__doc__"] = "A part."
    return dataclass(type("Spoilt", (base,), methods))


@dataclass
class Noise(Generator):
    """Grey noise from the seed."""

    size: int = 16  # pixels

    def generate(self, requests):
        return [
            Image.fromarray(np.random.default_rng(r.seed).integers(0, 256, (self.size,) * 2, np.uint8)).convert("RGB")
            for r in requests
        ]


@dataclass
class Sums(Retriever):
    """Rows that are sums of pixels or of letters."""

    def embed_images(self, images):
        return self._unit([np.asarray(i.resize((2, 2)), float).ravel() + 1 for i in images])

    def preprocessing(self):
        return "none"

    def encode_texts(self, texts):
        return self._unit([np.bincount([ord(c) % 12 for c in t], minlength=12) + 1.0 for t in texts])

    def _unit(self, rows):
        array = np.array(rows).reshape(-1, 12)
        return (array / np.linalg.norm(array, axis=1, keepdims=True)).astype(np.float32)


@dataclass
class Gap(SetMetric):
    """Distance of the means."""

    encoder: Retriever = None  # extracts the features

    def measure(self, features, real):
        means = [np.concatenate(list(rows.blocks())).mean(0) for rows in (features, real)]
        return float(np.linalg.norm(means[0] - means[1]))


@dataclass
class Copying(ReferenceReward):
    """One, always."""

    def score_against(self, images, prompts, references):
        import torch

        return torch.ones(len(images))


def batch_noise(self, requests):
    seeds = np.random.default_rng(len(requests))
    return [Image.fromarray(seeds.integers(0, 256, (8, 8, 3), np.uint8)) for _ in requests]


BROKEN = [
    (GeneratorSuite, spoilt(Noise, generate=batch_noise)(), "another picture in another batch"),
    (GeneratorSuite, spoilt(Noise, generate=lambda s, r: Noise.generate(s, r)[:1])(), "4 requests gave 1 pictures"),
    (GeneratorSuite, spoilt(Noise, max_references=1)(), "a reference changes nothing"),
    (
        RetrieverSuite,
        spoilt(Sums, _unit=lambda s, rows: np.array(rows, np.float32).reshape(-1, 12))(),
        "rows should have length 1",
    ),
    (
        RetrieverSuite,
        spoilt(Sums, _unit=lambda s, rows: Sums._unit(s, rows - np.mean(rows, 0) + 1e-3 if rows else rows))(),
        "an image's row changes with its batch",
    ),
    (IndexSuite, spoilt(Flat, search=lambda s, f, q, k, a=None: Flat.search(s, f, q, k))(), "rows were found that are"),
    (RewardSuite, spoilt(Brightness, range=(0.9, 1.0))(), "is not within 0.9 to 1.0"),
    (
        RewardSuite,
        spoilt(Brightness, score=lambda s, i, p: Brightness.score(s, i, p) / max(1, len(i)))(),
        "a value changes with the images beside it",
    ),
    (RewardSuite, Copying(), "expected NaN and a number"),
    (SetMetricSuite, spoilt(Gap, higher_is_better=True)(Sums()), "is higher_is_better right"),
    (SetMetricSuite, Gap(), "a metric has the option `encoder: Retriever`"),
]


@pytest.mark.parametrize(("suite", "part", "sentence"), BROKEN)
def test_a_broken_contract_is_found_and_said(suite, part, sentence):
    said = []
    for name in [n for n in dir(suite) if n.startswith("test_")]:
        try:
            getattr(suite(), name)(part)
        except (AssertionError, ValueError) as error:
            said.append(str(error))
    assert any(sentence in text for text in said), said


@pytest.mark.parametrize(
    ("suite", "part"), [(GeneratorSuite, Noise()), (RetrieverSuite, Sums()), (SetMetricSuite, Gap(Sums()))]
)
def test_a_good_part_passes(suite, part):
    for name in [n for n in dir(suite) if n.startswith("test_")]:
        getattr(suite(), name)(part)


def test_an_option_without_a_word_is_found():
    @dataclass
    class Silent(Brightness):
        """A reward."""

        loud: int = 1  # said
        silent: int = 2

    with pytest.raises(AssertionError, match=r"neither a comment behind them nor a string below: silent(\n|$)"):
        RewardSuite().test_each_option_is_documented(Silent())


def test_every_family_has_a_suite():
    assert all(suite_of(family) for family in PART_FAMILIES)


def pytest_on(folder, *arguments):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "realism.testing.plugin",
        "--pyargs",
        "realism.testing",
        *arguments,
    ]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


def test_registered_parts_are_tested_from_the_command_line_and_trouble_is_said_in_sentences(tmp_path):
    made = pytest_on(tmp_path, "--part", "flat", "--part", "image_folder", "--part", "flatt")
    assert made.returncode == 1
    assert "8 failed, 9 passed" in made.stdout, made.stdout + made.stderr
    assert "image_folder cannot be made: 'path' must be given" in made.stdout
    assert "no part named 'flatt'; there are: " in made.stdout and "did you mean 'flat'?" in made.stdout
    assert "Traceback" not in made.stdout and "making.py" not in made.stdout


def test_no_part_named_is_said_with_those_there_are(tmp_path):
    made = pytest_on(tmp_path)
    assert made.returncode != 0 and "name a part with --part; there are: " in made.stdout + made.stderr
