"""Trains the judge: a dual encoder of other seed and shape than clip, and the reader; both for evaluation only.

Left out: anything that a generator could learn from. Nothing may train on the judge, so that it stays honest.
"""

from __future__ import annotations

from pathlib import Path

from . import clip, reader
from .common import Report

SHAPE = clip.Shape(embed=64, image_width=96, image_layers=3, patch=8, text_width=64, text_layers=2)


def build(
    out: Path,
    seed: int,
    minutes: float,
    steps: int | None = None,
    pool_size: int = clip.POOL,
    report: Report = None,
) -> dict:
    """Trains and saves reader and encoder, the reader in the first four tenths of the time; returns their figures."""
    read = reader.build(out, seed + 1000, 0.4 * minutes, steps, report)
    saw = clip.build(out, seed + 1000, 0.6 * minutes, steps, SHAPE, pool_size, report)
    return {"reader": read, "encoder": saw}
