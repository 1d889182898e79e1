"""`realism --help` in a process of its own, against Python that does nothing, best of several (goal: under 0.5 s).

Run: .venv/bin/python benchmarks/help.py
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path


def best(command: list[str], rounds: int = 7) -> float:
    """The least seconds that a command took."""
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        seconds.append(time.perf_counter() - began)
    return min(seconds)


if __name__ == "__main__":
    print(f"python -c pass    {best([sys.executable, '-c', 'pass']):.3f} s")
    print(f"realism --help    {best([str(Path(sys.executable).parent / 'realism'), '--help']):.3f} s")
