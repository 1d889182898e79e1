"""A map of pictures as inline SVG: a panel a group, a path of marks for each kind of picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from realism.data.rows import Point
from realism.measuring.evaluation import REAL
from realism.measuring.groups import ALL
from realism.report.plots import COLOURS

SIDE = 1000
"""The longer side of a panel, in its own units; the other is as long as the map needs, but half of that at least."""
ROOM = 25
"""What is left free at each edge, so that no mark is cut."""
HALF = 11
"""Half the width of a cross or a square."""
MAX_PANELS = 12


@dataclass(frozen=True)
class Marks:
    """All pictures of one kind in one panel, as an SVG path: dots for arms, squares for what was retrieved, crosses for
    real images."""

    kind: str
    shape: str
    colour: int
    count: int
    path: str

    @property
    def sample(self) -> str:
        """One mark, in the middle of 28 units, for the legend."""
        return _mark(self.shape, 14, 14)


@dataclass(frozen=True)
class Panel:
    """The pictures of one group, at the places that they have in the whole map."""

    group: str
    marks: tuple[Marks, ...]


@dataclass(frozen=True)
class Map:
    """One map: its legend (all kinds, with how many of each), and its panels, all of one size."""

    encoder: str
    width: int
    height: int
    legend: tuple[Marks, ...]
    panels: tuple[Panel, ...]
    left_out: int


def chart(encoder: str, points: Sequence[Point], palette: Mapping[str, int]) -> Map:
    """The map of `points`. Arms have the colours they have everywhere; the retrieved ones those that come after."""
    kinds = list(dict.fromkeys(point.kind for point in points))
    others = [kind for kind in kinds if kind not in palette]
    colours = {**palette, **{kind: (len(palette) + i) % COLOURS for i, kind in enumerate(others)}}
    places, width, height = _places(points)
    groups = [group for group in dict.fromkeys(point.group for point in points) if group]
    panels = []
    for group in groups[:MAX_PANELS] or [""]:
        inside = [i for i, point in enumerate(points) if not group or point.group in ("", group)]
        panels.append(Panel(group or ALL, _marks([(points[i].kind, *places[i]) for i in inside], kinds, colours)))
    legend = _marks([(point.kind, 0, 0) for point in points], kinds, colours)
    return Map(encoder, width, height, legend, tuple(panels), max(0, len(groups) - MAX_PANELS))


def _places(points: Sequence[Point]) -> tuple[list[tuple[int, int]], int, int]:
    """Where the points lie in a panel, in one scale across and down; its width and its height."""
    left, top = min(p.x for p in points), min(p.y for p in points)
    spans = [max(p.x for p in points) - left, max(p.y for p in points) - top]
    scale = (SIDE - 2 * ROOM) / (max(spans) or 1.0)
    width, height = (max(SIDE // 2, round(scale * span) + 2 * ROOM) for span in spans)
    across, down = ((side - scale * span) / 2 for side, span in zip((width, height), spans, strict=True))
    return [(round(across + scale * (p.x - left)), round(down + scale * (p.y - top))) for p in points], width, height


def _marks(
    placed: Sequence[tuple[str, int, int]], kinds: Sequence[str], colours: Mapping[str, int]
) -> tuple[Marks, ...]:
    """Real images first, so that the rest is drawn over them."""
    made = []
    for kind in sorted(kinds, key=lambda kind: _shape(kind) != "cross"):
        shape, here = _shape(kind), [(x, y) for of, x, y in placed if of == kind]
        if here:
            path = "".join(_mark(shape, x, y) for x, y in here)
            made.append(Marks(kind, shape, colours[kind], len(here), path))
    return tuple(made)


def _shape(kind: str) -> str:
    return "cross" if kind == REAL else "square" if kind.startswith("(retrieved ") else "dot"


def _mark(shape: str, x: int, y: int) -> str:
    if shape == "dot":
        return f"M{x} {y}h.1"  # a line without length is a dot, as its ends are round
    h = HALF
    if shape == "square":
        return f"M{x - h} {y - h}h{2 * h}v{2 * h}h-{2 * h}z"
    return f"M{x - h} {y}h{2 * h}M{x} {y - h}v{2 * h}"
