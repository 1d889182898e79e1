"""`realism doctor`: what a machine lacks is named, with the mend."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from realism.cli import doctor


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_a_machine_that_has_all_is_told_so(realism):
    code, text = realism("doctor")
    assert code == 0, text
    assert "no problems on this machine" in text and "HF_HUB_OFFLINE" in text


def test_weights_that_git_has_not_fetched_are_named_with_the_command(realism, monkeypatch, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    monkeypatch.setattr(doctor, "_shipped", lambda: [("garden/flux", "garden", tmp_path)])
    code, text = realism("doctor")
    assert code == 1
    assert "model.safetensors is a pointer of git LFS; run 'git lfs pull'" in text


def test_a_card_that_torch_does_not_reach_is_a_problem(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    [found] = doctor._devices()
    assert found.state == "problem" and "install a torch built for CUDA" in found.text


def test_a_check_that_fails_is_a_problem_and_the_others_go_on(monkeypatch):
    def broken():
        raise OSError("no such thing")
        yield

    monkeypatch.setattr(doctor, "CHECKS", (broken, doctor._python))
    first, second = doctor.findings()
    assert first.state == "problem" and "no such thing" in first.text
    assert (second.state, second.about) == ("ok", "Python")


def test_the_version_is_printed(realism):
    code, text = realism("--version")
    assert (code, text.strip()) == (0, "0.1.0")


def test_a_list_may_be_cut_short_by_head(world):
    command = f"{Path(sys.executable).parent / 'realism'} parts | head -1"
    shown = subprocess.run(command, shell=True, env=world, capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.startswith("family") and not shown.stderr
