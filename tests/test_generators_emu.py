"""Emu2, which brings its own code, and Emu3, which writes pictures token by token, on tiny random models."""

from __future__ import annotations

import os
import shutil
import sys

import examples
import pytest
import tiny
import torch
from realism import Prompt, RealismError, Request
from realism_generators.emu2 import Emu2
from realism_generators.emu3 import Emu3

ROSE = Prompt("p", "a red rose")
SMALL = {"dtype": "float32", "device": "cpu"}


def test_code_that_comes_with_a_model_is_not_run_by_default(monkeypatch):
    monkeypatch.delenv("REALISM_TEST_CODE_RAN", raising=False)
    options = examples.options("emu2") | {"trust_remote_code": False}
    loaded = {name for name in sys.modules if "pipeline_emu2_gen" in name or "modeling_emu" in name}
    generator = Emu2(**options)
    assert "is not run by default: read it, then set 'trust_remote_code: true'" in generator.options_error()
    with pytest.raises(RealismError, match="is not run by default"):
        generator.generate([Request(ROSE, 1)])
    assert "REALISM_TEST_CODE_RAN" not in os.environ
    assert loaded == {name for name in sys.modules if "pipeline_emu2_gen" in name or "modeling_emu" in name}


def test_without_consent_nothing_is_fetched_from_the_hub(monkeypatch):
    def fetched(*arguments, **options):
        raise AssertionError("the hub was asked")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetched)
    with pytest.raises(RealismError, match="model 'BAAI/Emu2-Gen' brings Python code of its own"):
        Emu2().generate([Request(ROSE, 1)])


def test_with_consent_the_models_own_code_draws(monkeypatch, tmp_path):
    folder = shutil.copytree(examples.pipeline("emu2"), tmp_path / "emu2_own")
    monkeypatch.delenv("REALISM_TEST_CODE_RAN", raising=False)
    options = examples.options("emu2") | {"model": str(folder), "size": 45}
    image = Emu2(**options).generate([Request(ROSE, 1, (tiny.picture(3),))])[0]
    assert image.size == (40, 40)
    assert os.environ["REALISM_TEST_CODE_RAN"] == "yes"


def test_a_folder_without_the_models_code_is_said_before_anything_runs(tmp_path):
    problem = Emu2(model=str(tmp_path), trust_remote_code=True).options_error()
    assert problem == f"{tmp_path} is no Emu2 model: it has no pipeline_emu2_gen.py"


def test_emu3_draws_the_size_asked_for():
    model = examples.pipeline("emu3")
    assert Emu3(model=model, size=(50, 32), **SMALL).generate([Request(ROSE, 1)])[0].size == (48, 32)


def test_emu3_takes_the_likeliest_tokens_when_no_others_are_allowed():
    greedy = Emu3(model=examples.pipeline("emu3"), size=32, top_k=1, **SMALL)
    a, b = greedy.generate([Request(ROSE, 1), Request(ROSE, 2)])
    assert list(a.getdata()) == list(b.getdata())


def test_guidance_of_emu3_changes_the_picture():
    made = [
        Emu3(model=examples.pipeline("emu3"), size=32, guidance=guidance, **SMALL).generate([Request(ROSE, 1)])[0]
        for guidance in (1.0, 5.0)
    ]
    assert list(made[0].getdata()) != list(made[1].getdata())


def test_drawing_leaves_torchs_own_random_numbers_as_they_were():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    Emu3(model=examples.pipeline("emu3"), size=32, **SMALL).generate([Request(ROSE, 1)])
    assert torch.equal(torch.rand(3), expected)


def test_a_folder_that_is_no_emu3_is_said_before_anything_runs(tmp_path):
    assert "it has no config.json that can be read" in Emu3(model=str(tmp_path)).options_error()
