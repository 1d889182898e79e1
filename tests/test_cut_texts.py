"""A text of which a model reads the beginning alone is said, with how many there were, once a part and step."""

from __future__ import annotations

import functools
import random

import examples
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from realism import Prompt
from realism.base.cut_texts import note_texts, warn_of_cut_texts
from realism.data.artifacts import PromptTable, Samples
from realism.data.rows import PromptRow, Sample
from realism.steps.generate import Generate
from realism.steps.score import ScoreSamples
from realism.testing import run_step
from realism_generators.amused import Amused
from realism_generators.flux import Flux
from realism_generators.flux2 import Flux2, Flux2Klein
from realism_generators.image_to_image import UnCLIP
from realism_generators.qwen import QwenImageEdit
from realism_generators.stable_diffusion import StableDiffusion, StableDiffusion3, StableDiffusionXL
from realism_retrievers.openclip import OpenClip
from realism_rewards.clip import ClipT
from tiny import WORDS, judged, picture

FAST = {"device": "cpu", "dtype": "float32", "steps": 1}


@pytest.fixture(autouse=True)
def nothing_noted():
    from realism.base import cut_texts

    cut_texts._read.clear()


def text(words: int, seed: int = 0) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def generator(name, length=None):
    few = {"max_sequence_length": length} if length else {}
    kinds = {
        "sd": (StableDiffusion, "stable_diffusion"), "sdxl": (StableDiffusionXL, "stable_diffusion_xl"),
        "sd3": (StableDiffusion3, "stable_diffusion_3"), "flux": (Flux, "flux"), "unclip": (UnCLIP, "unclip"),
        "klein": (Flux2Klein, "klein"), "flux2": (Flux2, "flux2"),
    }  # fmt: skip
    if name == "amused":
        return Amused(model=examples.amused(), **FAST)
    kind, folder = kinds[name]
    return kind(model=examples.pipeline(folder), **few, **FAST)


def said(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "realism"]


@pytest.mark.parametrize(
    ("name", "length", "reads"),
    [
        ("sd", None, 16), ("sdxl", None, 16), ("unclip", None, 16), ("amused", None, 16), ("sd3", 24, 24),
        ("flux", 24, 24), ("klein", 12, 12), ("flux2", 128, 128),
    ],
)  # fmt: skip
def test_prompts_that_a_generator_cuts_are_counted_over_the_step(tmp_path, caplog, name, length, reads):
    part = generator(name, length)
    part.part_name = "painter"
    room = next(n for n in range(1, 200) if part.lengths([text(n + 1)])[1][0] > reads)
    texts = [text(room - 1, 1), text(room, 2), text(room + 1, 3), text(2 * room + 9, 4), text(1, 5)]
    rows = [PromptRow(str(i), each) for i, each in enumerate(texts)]
    with caplog.at_level("WARNING", "realism"):
        run_step(Generate(part, per_prompt=2, shard=3), tmp_path, {PromptTable(): rows})
    assert said(caplog) == [f"'painter' reads {reads} tokens: 2 of 5 prompts are longer and were cut"]


@pytest.mark.parametrize("name", ["sd", "sdxl", "sd3", "flux", "klein"])
def test_what_is_said_to_be_cut_makes_no_difference_and_what_is_not_does(name):
    """Whether a text is cut, by what the network is told of it and of the same text with another last word."""
    part = generator(name, {"sd3": 24, "flux": 24, "klein": 12}.get(name))
    most = part.lengths(["a"])[0]
    room = next(n for n in range(1, 200) if part.lengths([text(n + 1)])[1][0] > most)
    for words, differs in ((room, True), (room + 1, False)):
        start = text(words - 1)
        one, other = (conditions(part, f"{start} {last}") for last in ("rose", "sand"))
        assert (one != other).any().item() == differs


def conditions(part, of):
    pipeline = part.pipeline
    if hasattr(part, "condition"):
        return part.condition([of])["encoder_hidden_states"]
    return pipeline.encode_prompt(of, max_sequence_length=part.max_sequence_length)[0]


def test_qwens_template_does_not_count():
    part = QwenImageEdit(model=examples.pipeline("qwen_edit"), size=64, **FAST)
    most, (one, two) = part.lengths([text(1), text(3)])
    assert most == 1024 and two - one == 2


def test_texts_that_openclip_cuts_are_said_once_with_the_name_of_the_encoder(tmp_path, caplog):
    encoder = OpenClip(model=examples.clip(), device="cpu", batch=2)
    encoder.part_name = "judge"
    reward = ClipT(encoder)
    texts = [text(14, 1), text(15, 2), text(40, 3)]
    rows, samples = [], []
    for i, each in enumerate(texts):
        picture(i).save(tmp_path / f"{i}.png")
        rows.append(PromptRow(str(i), each))
        samples.append(Sample(str(i), str(i), "samples", each, "", 0, f"{i}.png", 32, 32))
    with caplog.at_level("WARNING", "realism"):
        run_step(ScoreSamples([reward]), tmp_path, {PromptTable(): rows, Samples("samples"): samples})
    assert said(caplog) == ["'judge' reads 16 tokens: 2 of 3 texts are longer and were cut"]


@functools.cache
def openclip():
    return OpenClip(model=examples.clip(), device="cpu")._loaded


@given(st.lists(st.text(alphabet="ab é,'!日", max_size=40), min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_openclip_says_exactly_of_what_is_longer_that_it_is(texts):
    loaded = openclip()
    exact = [len(loaded.tokenizer.encode(each)) + 2 > 16 for each in texts]
    assert loaded.longer(texts) == exact


@pytest.mark.parametrize("name", ["pickscore", "hpsv2", "imagereward"])
def test_prompts_that_a_reward_cuts_are_said(caplog, name):
    from test_preference import part as reward

    made = reward(name)
    made.part_name = name
    most = made._loaded.lengths(["a"])[0]
    prompts = [Prompt(str(i), text(n)) for i, n in enumerate((1, most - 2, most - 1, 3 * most))]
    images = [picture(i) for i in range(4)]
    with caplog.at_level("WARNING", "realism"):
        made.score(judged(images, prompts))
        made.score(judged(images, prompts))
        assert said(caplog) == []
        warn_of_cut_texts()
        warn_of_cut_texts()
    assert said(caplog) == [f"'{name}' reads {most} tokens: 2 of 4 prompts are longer and were cut"]


def test_a_reward_that_reads_all_says_nothing(caplog):
    from test_preference import part as reward

    with caplog.at_level("WARNING", "realism"):
        reward("hpsv3").score(judged([picture(1)], [Prompt("1", text(200))]))
        warn_of_cut_texts()
    assert said(caplog) == []


def test_parts_are_counted_apart_and_a_text_counts_once(caplog):
    note_texts("a", 5, ["x", "y", "x"], [True, False, True])
    note_texts("b", 5, ["x"], [True])
    note_texts("a", 5, ["x"], [True])
    note_texts("c", 5, ["x"], [False])
    with caplog.at_level("WARNING", "realism"):
        warn_of_cut_texts()
    assert said(caplog) == [
        "'a' reads 5 tokens: 1 of 2 prompts are longer and were cut",
        "'b' reads 5 tokens: 1 of 1 prompts are longer and were cut",
    ]
