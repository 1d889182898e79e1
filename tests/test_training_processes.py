"""A fit in two processes is the fit of one: the same batches, the same random numbers, to rounding."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import examples
import pytest
import torch
from realism import open_run
from realism.base.errors import RealismError
from realism.data.artifacts import Curves
from realism.parts import shares
from realism.steps import train_processes
from realism_realrag.reflective_module import ReflectiveModule
from safetensors.torch import load_file

LORA = """\
parts:
  generator: {use: sd, model: MODEL, dtype: float32, device: cpu, steps: 2, size: 32, lora: {rank: 2}}
prompts: {use: toy_prompts, count: 4}
steps:
  - generate: {}
  - train: {trainer: lora, steps: 4, batch: 3, accumulate: 2, learning_rate: 0.001}
"""
REFLECTIVE = """\
parts:
  database: {use: image_folder, path: DATABASE}
  clip: {use: toy_retriever}
  real: {use: projected, encoder: clip, width: 16, index: toy_index}
  generator: {use: toy}
prompts: {use: toy_prompts}
steps:
  - index: {retriever: clip}
  - reflect: {retriever: clip, near_duplicate: 1.01}
  - train: {trainer: {use: reflective, retriever: real, epochs: 3, batch_size: 4}}
"""


def told(done, part):
    """What was learnt, and the curves."""
    (file,) = done.folder.glob("steps/train-*/weights/*/*.safetensors")
    curves = [(row.name, row.step, row.value) for row in open_run(done.folder)[Curves(part, 1)]]
    return load_file(file), curves


def lora():
    return LORA.replace("MODEL", examples.pipeline("stable_diffusion"))


def with_two(text):
    """A recipe whose fit has two processes."""
    return text.replace("train: {", "train: {devices: 2, ")


LORA_CASE = pytest.param(lora, "generator", marks=pytest.mark.slow, id="lora")
REFLECTIVE_CASE = pytest.param(lambda: REFLECTIVE, "real", id="reflective")


@pytest.mark.parametrize(("text", "part"), [LORA_CASE, REFLECTIVE_CASE])
def test_two_processes_learn_what_one_does(run, write_recipe, text, part):
    weights, curves = told(run(write_recipe(text()), out="one"), part)
    two, theirs = told(run(write_recipe(with_two(text())), out="two"), part)
    assert weights.keys() == two.keys()
    for name, rows in weights.items():
        torch.testing.assert_close(two[name], rows, rtol=0, atol=1e-5)
    assert [point[:2] for point in theirs] == [point[:2] for point in curves]
    assert [value for *_, value in theirs] == pytest.approx([value for *_, value in curves], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("devices", [2, 3, 5, 8])
def test_each_row_is_one_process_s_and_none_is_idle(monkeypatch, devices):
    monkeypatch.setattr(shares, "processes", lambda: devices)
    monkeypatch.setattr(shares, "_joined", lambda: True)
    owned: list[int] = []
    for rank in range(devices):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        own = range(8)[shares.share(8)]
        assert own
        owned += own
    assert owned == list(range(8))


@pytest.mark.slow
def test_more_devices_than_rows_of_a_batch_are_refused(run, write_recipe):
    text = with_two(lora().replace("batch: 3", "batch: 1"))
    with pytest.raises(RealismError, match="2 devices share batches of 1, so some would have nothing to do"):
        run(write_recipe(text))


def test_a_module_that_knows_of_one_process_learns_the_same_in_three(run, write_recipe):
    text = """\
parts:
  learner: {use: toy_learner}
  teacher: {use: toy_trainer, generator: learner}
prompts: {use: toy_prompts, count: 3}
steps:
  - generate: {generator: learner}
  - train: {trainer: teacher, steps: 9}
"""
    weights, curves = told(run(write_recipe(text), out="one"), "learner")
    same, theirs = told(run(write_recipe(text), "steps[1].train.devices=3", out="three"), "learner")
    torch.testing.assert_close(same["grey"], weights["grey"], rtol=1e-6, atol=0)
    assert [value for *_, value in theirs] == pytest.approx([value for *_, value in curves], rel=1e-6)


def test_a_script_that_runs_a_recipe_is_not_run_again_by_the_processes(write_recipe, world, tmp_path):
    """As scripts without `if __name__ == "__main__"` are."""
    script = tmp_path / "script.py"
    path = write_recipe(with_two(REFLECTIVE))
    script.write_text(f"print('once')\nimport realism\nrealism.run({str(path)!r}, out='run', quiet=True)\n")
    done = subprocess.run([sys.executable, script], cwd=tmp_path, env=world, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "once\n"


@pytest.mark.slow
def test_a_fit_that_was_killed_goes_on_in_two_processes_and_ends_with_equal_bytes(run, write_recipe, monkeypatch):
    calm = told(run(write_recipe(with_two(REFLECTIVE)), out="calm"), "real")
    step, calls = ReflectiveModule.training_step, []

    def killed(self, batch, number):
        calls.append(number)
        if len(calls) == 15:  # in the third of three epochs
            raise KeyboardInterrupt
        return step(self, batch, number)

    with monkeypatch.context() as patch, pytest.raises((KeyboardInterrupt, SystemExit)):
        patch.setattr(ReflectiveModule, "training_step", killed)
        run(write_recipe(with_two(REFLECTIVE)), out="killed")
    assert not multiprocessing.active_children()
    weights, curves = told(run(write_recipe(with_two(REFLECTIVE)), out="killed"), "real")
    assert curves == calm[1]
    assert all(torch.equal(rows, calm[0][name]) for name, rows in weights.items())


@pytest.mark.parametrize("early", [True, False], ids=["before it fits", "while it fits"])
def test_a_process_that_dies_ends_the_run_in_a_sentence(run, write_recipe, monkeypatch, early):
    def kill_the_other(self, batch, number):
        kill(multiprocessing.active_children()[0])
        return step(self, batch, number)

    def kill(process):
        os.kill(process.pid, signal.SIGKILL)
        return process

    step, start = ReflectiveModule.training_step, train_processes._started
    if early:
        monkeypatch.setattr(train_processes, "_started", lambda task: [o := start(task), kill(o.process)][0])
    else:
        monkeypatch.setattr(ReflectiveModule, "training_step", kill_the_other)
    with pytest.raises(RealismError, match=r"train real: process 2 of 2 was killed by signal 9.* goes on from"):
        run(write_recipe(with_two(REFLECTIVE)))
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_killed_command_leaves_no_process_behind(write_recipe, world, tmp_path):
    path = write_recipe(with_two(REFLECTIVE.replace("epochs: 3", "epochs: 100000")))
    command = [sys.executable, "-c", "from realism.cli.app import main; main()", "run", str(path), "--out", "run"]
    run = subprocess.Popen(command, cwd=tmp_path, env=world, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        waited(lambda: any(tmp_path.glob("run/steps/train-*/checkpoints/last.ckpt")), 60)
        others = children(run.pid)
        assert others
        run.send_signal(signal.SIGKILL)
        run.wait()
        waited(lambda: not any(Path(f"/proc/{pid}/task").exists() for pid in others), 20)
    finally:
        run.kill()


def children(parent):
    """The processes that a process has started, by number."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if _parent(path) == parent]


def _parent(path):
    try:
        return int((path / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def waited(ready, seconds):
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.1)


def test_the_random_numbers_of_a_share_are_those_of_the_whole_batch(monkeypatch):
    """Seven rows among three processes: 2, 2 and 3."""

    def draws(n, random):
        return [
            torch.rand(n, generator=random),
            torch.randn((n, 2), generator=random),
            torch.randn(size=(n, 2), generator=random),
            torch.randint(0, 9, (n,), generator=random),
            torch.randint(9, (n, 1), generator=random),
        ]

    whole = draws(7, torch.Generator().manual_seed(3))
    monkeypatch.setattr(shares, "processes", lambda: 3)
    monkeypatch.setattr(shares, "_joined", lambda: True)
    for rank, own in enumerate([slice(0, 2), slice(2, 4), slice(4, 7)]):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        assert shares.share(7) == own
        random = torch.Generator().manual_seed(3)
        with shares.WholeBatchDraws(random, 7):
            part = draws(own.stop - own.start, random)
            with pytest.raises(ValueError, match="none for the"):
                torch.rand(5, generator=random)
            torch.rand(5)
        assert all(torch.equal(rows, all_rows[own]) for rows, all_rows in zip(part, whole, strict=True))
