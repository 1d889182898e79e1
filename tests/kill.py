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

TABLES_AND_IMAGES = (".parquet", ".png", ".npy", ".csv", ".faiss")


def contents(run: Path) -> dict[str, bytes]:
    """Every table, image, vector and index of a run, by its place in it."""
    return {
        p.relative_to(run).as_posix(): p.read_bytes()
        for p in sorted(run.rglob("*"))
        if p.suffix in TABLES_AND_IMAGES and p.is_file()
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
    out: Path,
    times: int,
    seconds: float,
    overrides: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    seed: int = 0,
) -> int:
    """Start a run `times` times, SIGKILL each within `seconds`; then let it finish. How many were at work when hit."""
    chance = random.Random(seed)
    hit = 0
    for _ in range(times):
        process = subprocess.Popen(
            command(recipe, out, overrides), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(timeout=chance.uniform(0.1, seconds))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            hit += 1
    finish(recipe, out, overrides, env)
    return hit
