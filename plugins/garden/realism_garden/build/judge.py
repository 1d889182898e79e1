"""Trains the judge: a dual encoder of other seed and shape than clip, and the reader; both for evaluation only.

Left out: anything that a generator could learn from. Nothing may train on the judge, so that it stays honest.
Run alone: python -m realism_garden.build.judge OUT --minutes 9
"""

from __future__ import annotations

import argparse
from pathlib import Path

from . import clip, reader
from .common import Report

SHAPE = clip.Shape(embed=64, image_width=96, image_layers=3, patch=8, text_width=64, text_layers=2)


def build(
    out: Path,
    seed: int = 0,
    minutes: float = 7,
    steps: int | None = None,
    pool_size: int = clip.POOL,
    report: Report = None,
) -> dict:
    """Trains and saves reader and encoder, the reader in the first four tenths of the time; returns their figures."""
    read = reader.build(out, seed + 1000, 0.4 * minutes, steps, report)
    saw = clip.build(out, seed + 1000, 0.6 * minutes, steps, SHAPE, pool_size, report)
    return {"reader": read, "encoder": saw}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=9)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(build(args.out, args.seed, args.minutes, args.steps))
