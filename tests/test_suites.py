"""The suites of realism.testing find what breaks a contract, and say it in the user's words."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from realism import DifferentiableReward, Generator, Output, Retriever, Reward, Scores, SetMetric
from realism.parts.base import FAMILIES
from realism.parts.returned import BrokenContract
from realism.testing import (
    GeneratorSuite,
    IndexSuite,
    PartSuite,
    RetrieverSuite,
    RewardSuite,
    SetMetricSuite,
    TrainedSuite,
    suites_of,
)
from realism_retrievers.flat import Flat
from safetensors.torch import save_file
from toys import ToyCritic, ToyLikeness
from toys_learning import ToyLearner, ToyPairTrainer


@dataclass
class Brightness(Reward):
    """Mean grey of the image, 0 to 1."""

    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    size: int = 8  # images are resized to this many pixels first

    def score(self, pictures):
        grey = [np.asarray(p.image.convert("L").resize((self.size,) * 2)) for p in pictures]
        return Scores(torch.tensor([float(one.mean()) / 255 for one in grey]))


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
class Colours(DifferentiableReward):
    """Mean red and mean green of the picture, each 0 to 1."""

    outputs: ClassVar = {"red": Output((0.0, 1.0)), "green": Output((0.0, 1.0))}

    def score(self, pictures):
        means = [np.asarray(p.image, np.float32).mean((0, 1)) / 255 for p in pictures]
        return Scores({name: torch.tensor([float(m[i]) for m in means]) for i, name in enumerate(self.outputs)})

    def score_pixels(self, pixels, prompts):
        return {name: pixels[:, i].mean((1, 2)) for i, name in enumerate(self.outputs)}


def says(change, base=ToyCritic):
    """A reward that says of pictures what `change` makes of what a good one says."""
    return spoilt(base, score=lambda self, pictures: change(base.score(self, pictures), pictures))()


def values(change, base=ToyCritic):
    return says(lambda good, _: replace(good, values=change(good.values)), base)


def maps(change):
    return says(lambda good, _: replace(good, maps={"dark": change(good.maps["dark"])}))


def details(*those):
    return says(lambda good, _: replace(good, details=those))


def blackened(good, pictures):
    for p in pictures:
        p.image.paste(0, (0, 0, 2, 2))
    return good


def by_references(good, pictures):
    return replace(good, values=good.values * torch.tensor([0.5 ** len(p.references) for p in pictures]))


def half_a_gradient(self, pixels, prompts):
    red, green = (pixels[:, i].mean((1, 2)) for i in (0, 1))
    return {"red": red, "green": 0 * green}


def batch_noise(self, requests):
    seeds = np.random.default_rng(len(requests))
    return [Image.fromarray(seeds.integers(0, 256, (8, 8, 3), np.uint8)) for _ in requests]


BROKEN = [
    (GeneratorSuite, spoilt(Noise, generate=batch_noise)(), "another picture in another batch"),
    (GeneratorSuite, spoilt(Noise, generate=lambda s, r: Noise.generate(s, r)[:1])(), "4 requests gave 1 picture"),
    (GeneratorSuite, spoilt(Noise, max_references=1)(), "a reference changes nothing"),
    (
        RetrieverSuite,
        spoilt(Sums, _unit=lambda s, rows: np.array(rows, np.float32).reshape(-1, 12))(),
        "embed_images gave a row of length",
    ),
    (
        RetrieverSuite,
        spoilt(Sums, _unit=lambda s, rows: Sums._unit(s, rows - np.mean(rows, 0) + 1e-3 if rows else rows))(),
        "an image's row changes with its batch",
    ),
    (
        IndexSuite,
        spoilt(Flat, search=lambda s, f, q, k, a=None: Flat.search(s, f, q, k))(),
        "search found a row that is not allowed",
    ),
    (SetMetricSuite, spoilt(Gap, higher_is_better=True)(Sums()), "is higher_is_better right"),
    (SetMetricSuite, Gap(), "a metric has the option `encoder: Retriever`"),
]
REWARDS = [
    (spoilt(Brightness, range=(0.9, 1.0))(), "is not within 0.9 to 1.0"),
    (values(lambda v: v / max(1, len(v)), Brightness), "a value changes with the pictures beside it"),
    (says(lambda good, _: good.values, Brightness), "score gave a Tensor, not Scores"),
    (values(lambda v: v.tolist(), Brightness), "expected a tensor, not a list"),
    (values(lambda v: v[:1], Brightness), "4 pictures gave the shape (1,), not (4,)"),
    (values(lambda v: v.double(), Brightness), "a value: expected float32, not float64"),
    (values(lambda v: v.int(), Brightness), "expected float32, not int32"),
    (values(lambda v: {"grey": v}, Brightness), "values have names (grey), but 'outputs' names none"),
    (values(lambda v: v + torch.inf, Brightness), "a value is infinite"),
    (values(lambda v: v["brightness"]), "expected values by name, not a Tensor: return Scores"),
    (values(lambda v: {"brightness": v["brightness"]}), "there is no value 'plausibility', which is one of 'outputs'"),
    (values(lambda v: v | {"britness": v["brightness"]}), "plausibility; did you mean 'brightness'?"),
    (values(lambda v: v | {"brightness": v["brightness"] + 2}), "value 'brightness': [2"),
    (values(lambda v: v | {"brightness": v["brightness"][:0]}), "value 'brightness': 4 pictures gave the shape (0,)"),
    (spoilt(ToyCritic, outputs={"for": Output()})(), "'outputs' has 'for'; a name is letters, digits and _"),
    (spoilt(ToyCritic, outputs={"_dark": Output()})(), "'outputs' has '_dark'"),
    (spoilt(ToyCritic, outputs={"dark": (0, 1)})(), "'outputs' says of 'dark' what is no Output"),
    (spoilt(ToyCritic, map_names=("dark spots",))(), "'map_names' has 'dark spots'"),
    (spoilt(ToyCritic, map_names=("dark", "dark"))(), "'map_names' names one twice: dark, dark"),
    (details({}, {}), "4 pictures gave 2 details, neither 4 nor none"),
    (details(*["dark"] * 4), "a detail is a str, not a mapping"),
    (details(*[{"dark": np.float32(1)}] * 4), "a detail is not JSON: Object of type float32"),
    (details(*[{"answers": [{"question": "?"}]}] * 4), "each should have answer, expected, question, right"),
    (spoilt(ToyCritic, map_names=())(), "map 'dark' is none of 'map_names', which has: none"),
    (spoilt(ToyCritic, map_names=("dark", "odd"))(), "there is no map 'odd', which is one of 'map_names'"),
    (maps(lambda m: m[:1]), "4 pictures gave 1 maps 'dark', not 4"),
    (maps(lambda m: [one[None] for one in m]), "a map 'dark' has the shape (1, 64, 64), not (height, width)"),
    (maps(lambda m: [one * np.nan for one in m]), "a map 'dark' is not finite everywhere"),
    (maps(lambda m: [one + 1 for one in m]), "a map 'dark' goes from 1 to 2, not within 0 to 1"),
    (maps(lambda m: [one.astype(int) for one in m]), "a map 'dark' is an array of int64, not an array of floats"),
    (maps(lambda m: [torch.from_numpy(one) for one in m]), "a map 'dark' is a Tensor, not an array of floats"),
    (maps(lambda m: [one / len(m) for one in m]), "a map 'dark' changes with the pictures beside it"),
    (says(blackened), "a picture is another one after it was scored"),
    (spoilt(Brightness, uses_references=True)(), "other references change no value, but 'uses_references' is True"),
    (says(by_references, Brightness), "references change a value, but 'uses_references' is False"),
    (spoilt(Colours, score_pixels=lambda s, x, p: x.mean((1, 2, 3)))(), "score_pixels: expected values by name"),
    (spoilt(Colours, score_pixels=half_a_gradient)(), "the gradient to the pixels of a picture is zero"),
]


@pytest.mark.parametrize(("suite", "part", "sentence"), [*BROKEN, *((RewardSuite, *one) for one in REWARDS)])
def test_a_broken_contract_is_found_and_said(suite, part, sentence):
    said = []
    for name in [n for n in dir(suite) if n.startswith("test_")]:
        try:
            getattr(suite(), name)(part)
        except (AssertionError, ValueError, BrokenContract) as error:
            said.append(str(error))
    assert any(sentence in text for text in said), said


@pytest.mark.parametrize(
    ("suite", "part"),
    [
        (GeneratorSuite, Noise()),
        (RetrieverSuite, Sums()),
        (SetMetricSuite, Gap(Sums())),
        (RewardSuite, ToyCritic()),
        (RewardSuite, ToyLikeness()),
        (RewardSuite, Colours()),
    ],
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
    ours = {family: cls for family, cls in FAMILIES.items() if cls.__module__.startswith("realism.")}
    for family, cls in ours.items():
        own, *_, every = suites_of(cls) if family != "trainer" else suites_of(cls)[:-1]
        assert issubclass(own, every) and own is not every and every is PartSuite, family


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
    assert "2 failed, 10 passed" in made.stdout, made.stdout + made.stderr
    assert (
        "image_folder needs path (The folder, absolute or relative to the working folder): give --option path=..."
        in made.stdout
    )
    assert "no part named 'flatt'; available: " in made.stdout and "did you mean 'flat'?" in made.stdout
    assert "Traceback" not in made.stdout and "making.py" not in made.stdout


def test_no_part_named_is_said_with_those_there_are(tmp_path):
    made = pytest_on(tmp_path)
    assert made.returncode != 0 and "name a part or a step with --part; available: " in made.stdout + made.stderr


@dataclass
class Pair(ToyPairTrainer):
    """Teaches two, in steps that are seen."""

    def module(self):
        module = super().module()
        module.grey = torch.nn.Parameter(torch.full((1,), 0.5))
        return module

    def save(self, module, folder):
        for name in self.trains:
            save_file({"grey": 200 * module.grey.detach()}, folder / name / "grey.safetensors")


@pytest.fixture
def pair():
    return Pair(ToyLearner(), second=ToyLearner())


TRAINED = [test for test in dir(TrainedSuite) if test.startswith("test_")]


@pytest.mark.parametrize("test", TRAINED)
def test_each_of_several_trained_parts_goes_through_the_suite(pair, test):
    getattr(TrainedSuite(), test)(pair)


def test_the_second_of_several_trained_parts_that_ignores_its_weights_is_found(pair):
    pair.second.use_weights = lambda folder: ToyLearner.use_weights(pair.second, None)
    with pytest.raises(AssertionError, match="what was learned is not used"):
        TrainedSuite().test_saved_weights_make_a_difference_and_none_goes_back(pair)
