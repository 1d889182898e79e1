"""Measures as a page shows them: tables of arms by groups, what else decides the numbers, and the headline."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from realism.data.rows import Measure
from realism.measuring.descriptions import DESCRIPTION, title_of
from realism.measuring.reliability import is_chance, unreliable_encoders
from realism.measuring.selection import SELECTED_FROM
from realism.report.cells import Cell, Change, cell, change, cleaned, notes, ordered, turns_of
from realism.report.classes import ClassTable, class_tables, split
from realism.report.format import Scale
from realism.report.plots import COLOURS, Plot, plot
from realism.report.view import ReportView

TELLING = 5
"""Differences in the headline."""


@dataclass(frozen=True)
class Line:
    """One arm in a table: a cell a group, None where the arm was not measured."""

    arm: str
    control: bool
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class MeasureTable:
    """One measure: what it is, its lines, what else decides its numbers, its plot, and tables of many groups."""

    name: str
    title: str
    description: str
    better: str
    points: str
    control: str
    groups: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[tuple[str, str], ...]
    plot: Plot
    classes: tuple[ClassTable, ...]


@dataclass(frozen=True)
class Finding:
    """One sentence of the headline, in pieces."""

    measure: str
    title: str
    group: str
    control: str
    arm: str
    before: str
    after: str
    interval: str
    n: str
    change: Change
    points: str
    passed_over: bool

    @property
    def sentence(self) -> str:
        """What was measured, as one sentence for a console."""
        about = f"{self.title}, {self.group}" if self.group else self.title
        difference = f"{self.change.text}{self.points} {self.change.interval}".strip()
        verdict = f"{self.change.verdict}, " if self.change.verdict in ("better", "worse") else ""
        after = f"{self.after} {self.interval}".strip()
        return (
            f"{about}: {self.before} with {self.control} -> {after} with {self.arm} (n = {self.n}): "
            f"{difference}, {verdict}{self.change.why}"
        )


@dataclass(frozen=True)
class Headline:
    """The most telling differences, of so many comparisons, so many of which exclude zero, and so many of these by
    unreliable encoders."""

    findings: tuple[Finding, ...]
    compared: int
    beyond: int
    unreliable: int


def tables(view: ReportView) -> list[MeasureTable]:
    """One table per measure, in the order of `view.measures`."""
    failed = unreliable_encoders(view.measures)
    return [_table(rows, view, failed) for rows in by_measure(view.measures).values()]


def palette(view: ReportView) -> dict[str, int]:
    """The colour of each arm, one and the same wherever the page shows it."""
    arms = ordered([*view.arms, *(row.arm for row in view.measures)])
    return {arm: index % COLOURS for index, arm in enumerate(arms)}


def headline(view: ReportView) -> Headline:
    """The differences furthest beyond their intervals, |difference| / half-width, whatever the unit.

    Each measure gives its clearest before any gives its second, and what got worse is never crowded out: if all the
    places went to gains, the last goes to the clearest loss. Where nothing is beyond its interval, that is what is
    said, of the same number. What rests on unreliable encoders comes last. A biased distance is counted, but
    not shown where an unbiased one says the same thing; tables of many groups, measures of training samples, and
    comparisons to chance, which are no difference between arms, are left out.
    """
    found = sorted(_findings(view), key=_rank)
    beyond = [pair for pair in found if pair[1].change.beyond]
    unreliable = sum(finding.change.verdict == "unreliable" for _, finding in beyond)
    showable = [pair for pair in beyond or found if not pair[1].passed_over]
    chosen = _spread(showable)[:TELLING]
    losses = [pair for pair in showable if pair[1].change.verdict == "worse"]
    if losses and not any(finding.change.verdict == "worse" for _, finding in chosen):
        chosen[-1] = losses[0]
    chosen.sort(key=_rank)
    return Headline(tuple(finding for _, finding in chosen), len(found), len(beyond), unreliable)


def _rank(pair: tuple[float, Finding]) -> tuple[bool, float]:
    return pair[1].change.verdict == "unreliable", -pair[0]


def _findings(view: ReportView) -> Iterator[tuple[float, Finding]]:
    """Every difference to a control that was measured too, with how telling it is."""
    failed = unreliable_encoders(view.measures)
    fair = {_compared(row) for row in view.measures if "extractor" in row.detail and "bias" not in row.detail}
    for every in by_measure(view.measures).values():
        rows, _ = split([row for row in every if SELECTED_FROM not in row.detail and not is_chance(row.control)])
        if not rows:
            continue
        scale, at = Scale.of(rows), {(row.arm, row.group): row for row in rows}
        for row in rows:
            before = at.get((row.control or view.control, row.group))
            made = change(row, scale, failed)
            if made is not None and before is not None and before is not row:
                passed_over = "bias" in row.detail and _compared(row) in fair
                yield _strength(row), _finding(row, before, made, scale, passed_over)


def _compared(row: Measure) -> tuple[str, str, str]:
    """Which images are compared, and by what: two metrics of which that is the same say much the same."""
    return row.arm, row.group, str(row.detail.get("extractor"))


def _spread(found: Sequence[tuple[float, Finding]]) -> list[tuple[float, Finding]]:
    """First the first of each measure, then the second of each, and so on; else in the order given."""
    turns = turns_of(finding.measure for _, finding in found)
    return [pair for _, pair in sorted(zip(turns, found, strict=True), key=lambda each: each[0])]


def by_measure(measures: Sequence[Measure]) -> dict[tuple[str, int], list[Measure]]:
    """Rows that share a table, by the measure's name and a number: a second row for the same arm and group (another
    extractor, say) starts another."""
    found: dict[tuple[str, int], list[Measure]] = {}
    turns = turns_of((row.name, row.arm, row.group) for row in measures)
    for row, turn in zip(measures, turns, strict=True):
        found.setdefault((row.name, turn), []).append(cleaned(row))
    return found


def _table(every: Sequence[Measure], view: ReportView, failed: Collection[str]) -> MeasureTable:
    rows, rest = split(every)
    scale = Scale.of(rows)
    arms = ordered([*view.arms, *(row.arm for row in every)], {row.arm for row in rows})
    groups = ordered([row.group for row in rows])
    at = {(row.arm, row.group): row for row in rows}
    controls = {row.control for row in rows if row.control} or {view.control}
    lines = tuple(
        Line(
            arm,
            arm in controls and not is_chance(arm),
            tuple(cell(at.get((arm, group)), scale, failed) for group in groups),
        )
        for arm in arms
    )
    better = "higher is better" if rows[0].higher_is_better else "lower is better"
    compared = any(one and one.change for line in lines for one in line.cells)
    return MeasureTable(
        name=rows[0].name,
        title=_title(rows[0]),
        description=str(rows[0].detail.get(DESCRIPTION, "")),
        better=better,
        points=scale.points,
        control=_beside(controls) if compared else "",
        groups=tuple(groups),
        lines=lines,
        notes=notes(rows),
        plot=plot(rows, arms, groups, palette(view), controls, scale),
        classes=class_tables(rest, arms, failed),
    )


def _beside(controls: Collection[str]) -> str:
    """What differences are to, in words."""
    return "chance" if all(map(is_chance, controls)) else f"{', '.join(sorted(controls))}, paired by prompt"


def _title(row: Measure) -> str:
    return title_of(row.name, str(row.detail.get(DESCRIPTION, "")))


def _strength(row: Measure) -> float:
    half = (row.difference_high - row.difference_low) / 2
    if not math.isfinite(half):
        return 0.0
    return abs(row.difference) / half if half > 0 else math.inf if row.difference else 0.0


def _finding(row: Measure, before: Measure, made: Change, scale: Scale, passed_over: bool) -> Finding:
    return Finding(
        measure=row.name,
        title=_title(row),
        group="all prompts" if row.group == "all" else row.group,
        control=before.arm,
        arm=row.arm,
        before=f"{scale.value(before.value)} {scale.interval(before.low, before.high)}".strip(),
        after=scale.value(row.value),
        interval=scale.interval(row.low, row.high),
        n=f"{row.n:,}" if row.n == before.n else f"{before.n:,} and {row.n:,}",
        change=made,
        points=scale.points,
        passed_over=passed_over,
    )
