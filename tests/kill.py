"""Kill a run at random moments, let it go on, and compare what it leaves with an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

RESULTS = (".parquet", ".png", ".npy", ".csv", ".faiss", ".safetensors")


def contents(run: Path) -> dict[str, bytes]:
    """Every table, image, vector, index and weight of a run, by its place in it."""
    return {
        p.relative_to(run).as_posix(): p.read_bytes()
        for p in sorted(run.rglob("*"))
        if p.suffix in RESULTS and p.is_file()
    }


def command(recipe: str, out: Path, overrides: Sequence[str] = ()) -> list[str]:
    """The command line of a quiet run, in a process of its own."""
    program = "from realism.cli.app import main; main()"
    return [sys.executable, "-c", program, "run", recipe, *overrides, "--out", str(out), "--quiet"]


def finish(recipe: str, out: Path, overrides: Sequence[str] = (), env: Mapping[str, str] | None = None) -> float:
    """Carry out a run undisturbed; the seconds it took."""
    began = time.monotonic()
    done = subprocess.run(command(recipe, out, overrides), env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - began


def kill_often(
    recipe: str,
    folder: Path,
    times: int,
    seconds: float,
    overrides: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    seed: int = 0,
) -> list[Path]:
    """SIGKILL a run `times` times, each within `seconds` of its start, and start it again; one that ends before it is
    hit is followed by a new one beside it. Returns the folders of all runs, each of which was let come to its end."""
    chance = random.Random(seed)
    runs = [folder / "0"]
    hit = 0
    while hit < times:
        process = subprocess.Popen(
            command(recipe, runs[-1], overrides), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            _, trouble = process.communicate(timeout=chance.uniform(0.1, seconds))
            assert process.returncode == 0, trouble
            runs.append(folder / str(len(runs)))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            hit += 1
    finish(recipe, runs[-1], overrides, env)
    return runs
