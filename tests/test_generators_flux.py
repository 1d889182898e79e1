"""FLUX and Kontext, on tiny random pipelines of the real classes."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise

import examples
import numpy as np
import pytest
import tiny
import torch
from realism import Prompt, RealismError, Request
from realism_generators.flux import Flux, FluxKontext

FAST = {"dtype": "float32", "device": "cpu", "steps": 2}
ROSE = Prompt("p", "a red rose")


def gap(a, b):
    return int(np.abs(np.asarray(a, int) - np.asarray(b, int)).max())


@pytest.fixture(scope="module")
def kontext():
    return FluxKontext(model=examples.kontext(), **FAST)


@pytest.fixture
def copied(tmp_path):
    return shutil.copytree(examples.kontext(), tmp_path / "model")


def test_a_picture_is_the_one_that_plain_diffusers_draws(kontext):
    from diffusers import FluxKontextPipeline

    pipeline = FluxKontextPipeline.from_pretrained(examples.kontext(), dtype=torch.float32)
    plain = pipeline(
        prompt="a red rose", image=tiny.picture(5), guidance_scale=2.5, num_inference_steps=2, width=32, height=32,
        max_area=32 * 32, _auto_resize=False, generator=torch.Generator().manual_seed(7),
    ).images[0]  # fmt: skip
    assert gap(kontext.generate([Request(ROSE, 7, (tiny.picture(5),))])[0], plain) <= 1


def test_the_same_request_gives_the_same_picture_at_any_batch_size():
    requests = [Request(ROSE, 2**62 + i, (tiny.picture(i, (30 + 9 * i, 50)),) if i % 3 else ()) for i in range(7)]
    one = FluxKontext(model=examples.kontext(), batch=1, **FAST).generate(requests)
    many = FluxKontext(model=examples.kontext(), batch=4, **FAST).generate(requests)
    assert [gap(a, b) <= 1 for a, b in zip(one, many, strict=True)] == [True] * 7
    assert all(gap(a, b) > 1 for a, b in pairwise(one)), "the pictures should differ, or this says nothing"


def test_a_batch_too_large_for_the_memory_is_halved_and_gives_the_same_pictures(kontext, monkeypatch):
    requests = [Request(ROSE, i) for i in range(5)]
    before = kontext.generate(requests)
    small = FluxKontext(model=examples.kontext(), **FAST)
    draw, sizes = type(small.pipeline).__call__, []

    def starving(self, **arguments):
        sizes.append(len(arguments["prompt"]))
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return draw(self, **arguments)

    monkeypatch.setattr(type(small.pipeline), "__call__", starving)
    after = small.generate(requests)
    assert sizes == [5, 2, 2, 1]
    assert all(gap(a, b) <= 1 for a, b in zip(before, after, strict=True))


def test_a_picture_has_the_size_asked_for_or_the_models_own():
    assert Flux(model=examples.flux(), **FAST).generate([Request(ROSE, 1)])[0].size == (32, 32)
    assert Flux(model=examples.flux(), size=48, **FAST).generate([Request(ROSE, 1)])[0].size == (48, 48)
    assert Flux(model=examples.flux(), size=(51, 30), **FAST).generate([Request(ROSE, 1)])[0].size == (48, 28)


def test_a_reference_keeps_its_proportions_whatever_else_is_in_the_batch(kontext):
    wide = tiny.picture(3, (96, 32))
    middle = wide.crop((32, 0, 64, 32))
    a, b, _ = kontext.generate(
        [Request(ROSE, 1, (wide,)), Request(ROSE, 1, (middle,)), Request(ROSE, 1, (tiny.picture(4),))]
    )
    assert gap(a, b) <= 1


def test_a_negative_prompt_matters_only_with_true_guidance():
    def draw(**options):
        return Flux(model=examples.flux(), **options, **FAST).generate([Request(ROSE, 1)])[0]

    plain = draw()
    assert gap(plain, draw(negative_prompt="bee")) == 0
    assert gap(draw(true_guidance=4.0), draw(true_guidance=4.0, negative_prompt="bee on sand")) > 0
    assert gap(plain, draw(true_guidance=4.0, negative_prompt="bee on sand")) > 0


def test_flux_reads_a_kontext_model_but_kontext_refuses_a_plain_one():
    assert Flux(model=examples.kontext()).options_error() is None
    assert "is a FluxPipeline; expected FluxKontextPipeline" in FluxKontext(model=examples.flux()).options_error()


def without(part):
    return lambda folder: shutil.rmtree(folder / part)


def as_pickle(folder):
    (folder / "vae" / "diffusion_pytorch_model.safetensors").rename(folder / "vae" / "diffusion_pytorch_model.bin")


def as_another_pipeline(folder):
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": ["pipeline", "Evil"]}))


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (without("transformer"), "is incomplete: its model_index.json names 'transformer', which is not there"),
        (as_pickle, "only safetensors are read"),
        (lambda folder: (folder / "model_index.json").unlink(), "is no diffusers model: it has no model_index.json"),
        (lambda folder: (folder / "model_index.json").write_text("{"), "is no pipeline's index"),
        (as_another_pipeline, "expected FluxKontextPipeline"),
    ],
)
def test_a_model_that_cannot_be_used_is_said_before_anything_runs(copied, harm, sentence):
    harm(copied)
    assert sentence in FluxKontext(model=str(copied)).options_error()


def test_a_damaged_model_is_said_in_a_sentence(copied):
    (copied / "transformer" / "diffusion_pytorch_model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(RealismError, match=r"cannot be loaded \(the folder is damaged\)"):
        FluxKontext(model=str(copied), **FAST).generate([Request(ROSE, 1)])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("./models/flux", "no model folder './models/flux'"),
        ("a b/c", "no model 'a b/c'; expected a folder, a hub id"),
        ("a/b/c", "no model 'a/b/c'; expected a folder, a hub id"),
    ],
)
def test_a_name_that_can_be_no_model_is_said_before_anything_runs(name, sentence):
    assert sentence in Flux(model=name).options_error()


def test_a_hub_out_of_reach_is_said_in_a_sentence(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(RealismError, match=r"nobody/nothing' cannot be loaded .*out of reach"):
        Flux(model="nobody/nothing").generate([Request(ROSE, 1)])


def test_a_device_that_is_not_there_is_said_in_a_sentence():
    with pytest.raises(RealismError, match="no device 'cuda:99': this machine has"):
        Flux(model=examples.flux(), device="cuda:99", steps=1).generate([Request(ROSE, 1)])
    with pytest.raises(RealismError, match="no device 'gpu'; expected auto, cpu, cuda"):
        Flux(model=examples.flux(), device="gpu", steps=1).generate([Request(ROSE, 1)])


def test_the_local_folder_of_a_model_is_an_input_of_the_step():
    assert [str(p) for p in Flux(model=examples.flux()).inputs()] == [examples.flux()]
    assert Flux(model="owner/name").inputs() == []
