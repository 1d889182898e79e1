"""What fits of a run have logged and drawn, read from its folder."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from realism.base.tables import read
from realism.data.artifacts import Artifact, Curves, Snapshots
from realism.data.rows import CurvePoint, Snapshot
from realism.parts.work import Work
from realism.report.view import CurveView, SnapshotsView
from realism.runs.manifest import DONE, outputs_of

T = TypeVar("T", bound=Artifact)
POINTS_SHOWN = 200
"""Points of one curve."""
CURVES_SHOWN = 120
STRIPS_SHOWN = 16
SNAPSHOTS_SHOWN = 10
"""Pictures of one strip."""


def curves_of(work: Work) -> tuple[CurveView, ...]:
    """The curves of all fits, for all seeds."""
    found: list[CurveView] = []
    for curves, path, seed in _made(work, Curves):
        by_name: dict[str, list[tuple[int, float]]] = {}
        for row in read(path, CurvePoint):
            if math.isfinite(row.value):
                by_name.setdefault(row.name, []).append((row.step, row.value))
        for name, points in by_name.items():
            each = math.ceil(len(points) / POINTS_SHOWN)
            found.append(CurveView(curves.part, curves.fit, seed, name, _averaged(points, each), len(points), each))
    return tuple(found[:CURVES_SHOWN])


def snapshots_of(work: Work) -> tuple[SnapshotsView, ...]:
    """The snapshots of all fits of the first seed, a strip for each prompt and seed of its pictures."""
    found: list[SnapshotsView] = []
    for snapshots, path, seed in _made(work, Snapshots):
        if seed != work.run.seeds[0]:
            continue
        strips: dict[tuple[str, int], list[Snapshot]] = {}
        for row in read(path, Snapshot):
            strips.setdefault((row.prompt_id, row.seed), []).append(row)
        for rows in strips.values():
            rows.sort(key=lambda row: row.step)
            images = tuple((row.step, work.root / row.image) for row in _spaced(rows, SNAPSHOTS_SHOWN))
            strip = SnapshotsView(snapshots.part, snapshots.fit, rows[0].text, rows[0].seed, images, len(rows))
            found.append(strip)
    return tuple(found[:STRIPS_SHOWN])


def _made(work: Work, kind: type[T]) -> Iterator[tuple[T, Path, int]]:
    """The artifacts of a kind that the steps of a run have made, for all seeds: each once, with its place and seed."""
    seen: set[Path] = set()
    for record in work.run.steps:
        folder = work.root / record.folder
        for artifact, path in outputs_of(folder).items() if (folder / DONE).exists() else ():
            if isinstance(artifact, kind) and path not in seen:
                seen.add(path)
                yield artifact, path, record.seed


def _averaged(points: list[tuple[int, float]], each: int) -> tuple[tuple[float, float], ...]:
    """The points in order of steps, each the mean of so many that follow one another."""
    points.sort()
    parts = [points[start : start + each] for start in range(0, len(points), each)]
    return tuple((sum(s for s, _ in part) / len(part), sum(v for _, v in part) / len(part)) for part in parts)


def _spaced(rows: Sequence[Snapshot], count: int) -> list[Snapshot]:
    """So many rows at most, evenly spaced, the first and the last among them."""
    if len(rows) <= count:
        return list(rows)
    return [rows[round(i * (len(rows) - 1) / (count - 1))] for i in range(count)]
