"""A plot of one measure: a dot and its 95 % interval for each arm and group, as one strip of SVG a line.

Strips use percentages across and pixels down, with their labels in HTML beside them: so text keeps its size from a
phone to a wide screen, and the colours come from the page's own light or dark scheme. No picture format does both.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from realism.data.rows import Measure
from realism.report.cells import values_by_seed
from realism.report.format import Scale, number

HUGE = 1e100
"""Beyond it (infinities and NaN too) nothing is drawn: spans would overflow."""
SMALL = 1e-4
"""Below such a step, a scale is written in powers of ten."""
COLOURS = 6
"""Colours for arms in style.css; the seventh arm has the first again."""


@dataclass(frozen=True)
class Tick:
    """A line of the scale, at `at` percent across."""

    at: float
    text: str
    anchor: str


@dataclass(frozen=True)
class Strip:
    """One dot with its interval, in percent across; None where there is no finite number to draw."""

    arm: str
    colour: int
    control: bool
    dot: float | None
    low: float | None
    high: float | None
    text: str
    seeds: tuple[float, ...] = ()
    """The value of each seed."""


@dataclass(frozen=True)
class Block:
    """The strips of one group; `control` is where the control's dot stands, for the eye to compare with."""

    group: str
    control: float | None
    strips: tuple[Strip, ...]

    def strip(self, arm: str) -> Strip | None:
        """The strip of an arm."""
        return next((strip for strip in self.strips if strip.arm == arm), None)


@dataclass(frozen=True)
class Plot:
    """All of it; no ticks when there is nothing finite to draw."""

    ticks: tuple[Tick, ...]
    blocks: tuple[Block, ...]
    unit: str


def plot(
    rows: Sequence[Measure],
    arms: Sequence[str],
    groups: Sequence[str],
    palette: Mapping[str, int],
    controls: Collection[str],
    scale: Scale,
) -> Plot:
    """The plot of `rows`: `arms` within each of `groups`, in the colours of `palette`."""
    factor = 100.0 if scale.percent else 1.0
    ends = [factor * end for row in rows for end in (row.value, row.low, row.high) if abs(end) < HUGE]
    if not ends:
        return Plot((), (), "")
    marks = ticks(min(ends), max(ends), (0.0, 100.0) if scale.percent else None)
    first, last = marks[0], marks[-1]

    def across(value: float) -> float | None:
        return round(100 * (factor * value - first) / (last - first), 2) if abs(value) < HUGE else None

    blocks = []
    for group in groups:
        here = {row.arm: row for row in rows if row.group == group}
        strips = tuple(
            Strip(
                arm,
                palette.get(arm, 0),
                arm in controls,
                across(row.value),
                across(row.low),
                across(row.high),
                f"{arm}: {scale.value(row.value)} {scale.interval(row.low, row.high)}".strip(),
                tuple(at for value in values_by_seed(row).values() if (at := across(value)) is not None),
            )
            for arm in arms
            if (row := here.get(arm)) is not None
        )
        guide = next((strip.dot for strip in strips if strip.control), None)
        blocks.append(Block(group, guide, strips))
    return Plot(labelled(marks), tuple(blocks), "%" if scale.percent else "")


def ticks(low: float, high: float, bounds: tuple[float, float] | None = None) -> list[float]:
    """Three to seven round numbers that enclose [low, high], a few percent of air at either end, within `bounds` if low
    and high are."""
    if bounds is not None and not bounds[0] <= low <= high <= bounds[1]:
        bounds = None
    span = max(high - low, 1e-9 * abs(high))
    span = span if span > 1 / HUGE else 1.0
    low, high = low - 0.04 * span, high + 0.04 * span
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
        if high - low > 0.45 * (bounds[1] - bounds[0]):  # then the whole scale tells more than its part
            low, high = bounds
    step = _round_step((high - low) / 4)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * index for index in range(first, max(last, first + 1) + 1)]


def _round_step(step: float) -> float:
    """The least of 1, 2, 2.5, 5, 10 times a power of ten that is not below `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= step * (1 - 1e-9))


def labelled(marks: Sequence[float]) -> tuple[Tick, ...]:
    """Evenly spaced numbers as the lines of a scale from the first to the last."""
    step, last = marks[1] - marks[0], len(marks) - 1
    digits = next((d for d in range(7) if abs(step * 10**d - round(step * 10**d)) < 1e-6), 6)
    anchors = {0: "start", last: "end"}
    return tuple(
        Tick(
            round(100 * index / last, 2),
            f"{mark:.3g}" if step < SMALL else number(mark, digits),
            anchors.get(index, "middle"),
        )
        for index, mark in enumerate(marks)
    )
