"""Curves of training as inline SVG: a plot for each logged value, with all fits and seeds in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from realism.report.plots import COLOURS, HUGE, Tick, labelled, ticks
from realism.report.view import CurveView

SIDE = 1000
"""Width and height of a plot in its own units; it is stretched to the space it has."""


@dataclass(frozen=True)
class Curve:
    """One line of a plot: its colour and dash, an SVG path, its last value in words."""

    label: str
    colour: int
    dash: int
    path: str
    last: str


@dataclass(frozen=True)
class CurvePlot:
    """One logged value: its scales across (steps) and up, and its lines. each: how many values a point averages."""

    name: str
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    curves: tuple[Curve, ...]
    each: int


@dataclass(frozen=True)
class Training:
    """The curves of one part: a legend, and its plots."""

    part: str
    legend: tuple[Curve, ...]
    plots: tuple[CurvePlot, ...]


def training(curves: Sequence[CurveView]) -> list[Training]:
    """The plots of each part, losses first, else in the order they were logged."""
    found = []
    seeds = len({one.seed for one in curves}) > 1
    for part in dict.fromkeys(one.part for one in curves):
        mine = [one for one in curves if one.part == part]
        fits = list(dict.fromkeys((one.fit, one.seed) for one in mine))
        labels = {fit: f"fit {fit[0]}" + (f", seed {fit[1]}" if seeds else "") for fit in fits}
        styles = {fit: (labels[fit], i % COLOURS, i // COLOURS % 3) for i, fit in enumerate(fits)}
        names = sorted(dict.fromkeys(one.name for one in mine), key=lambda name: "loss" not in name)
        plots = [_plot([one for one in mine if one.name == name], styles) for name in names]
        legend = tuple(Curve(*styles[fit], "", "") for fit in fits)
        found.append(Training(part, legend, tuple(plot for plot in plots if plot.curves)))
    return found


def _plot(curves: Sequence[CurveView], styles: dict[tuple[int, int], tuple[str, int, int]]) -> CurvePlot:
    """The plot of one logged value."""
    drawn = [(one, [(s, v) for s, v in one.points if abs(v) < HUGE]) for one in curves]
    drawn = [(one, points) for one, points in drawn if points]
    name, each = curves[0].name, max(one.each for one in curves)
    if not drawn:
        return CurvePlot(name, (), (), (), each)
    steps, values = zip(*(point for _, points in drawn for point in points), strict=True)
    across = ticks(min(steps), max(steps), (0.0, max(steps)) if max(steps) else None)
    up = ticks(min(values), max(values))
    up = up[1:] if up[0] < 0 <= min(values) and len(up) > 2 else up  # no air below what is never negative

    def path(points: Sequence[tuple[float, float]]) -> str:
        placed = [(_at(s, across), SIDE - _at(v, up)) for s, v in points]
        dot = "h.1" if len(placed) == 1 else ""
        return "M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in placed) + dot

    lines = [Curve(*styles[one.fit, one.seed], path(points), f"{points[-1][1]:.4g}") for one, points in drawn]
    return CurvePlot(name, labelled(across), labelled(up), tuple(lines), each)


def _at(value: float, marks: Sequence[float]) -> float:
    return SIDE * (value - marks[0]) / (marks[-1] - marks[0])
