"""Measures as a page shows them: tables of arms by groups, what else decides the numbers, and the headline."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from realism.report.format import Scale
from realism.report.plots import COLOURS, Plot, plot
from realism.report.view import ReportView
from realism.tables import Measure

TELLING = 5
"""Differences in the headline."""


@dataclass(frozen=True)
class Change:
    """A difference to the control: better, worse, within (its interval holds zero), or unsure (no interval)."""

    verdict: str
    arrow: str
    text: str
    interval: str


@dataclass(frozen=True)
class Cell:
    """One number of a table; change is None for the control and where nothing was compared."""

    value: str
    interval: str
    n: int
    change: Change | None
    tooltip: str


@dataclass(frozen=True)
class Line:
    """One arm in a table: a cell a group, None where the arm was not measured."""

    arm: str
    control: bool
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Table:
    """One measure: its lines, what else decides its numbers, and its plot."""

    name: str
    better: str
    points: str
    control: str
    groups: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[tuple[str, str], ...]
    plot: Plot


@dataclass(frozen=True)
class Finding:
    """One sentence of the headline, in pieces."""

    measure: str
    group: str
    arm: str
    before: str
    after: str
    interval: str
    n: str
    change: Change
    points: str


@dataclass(frozen=True)
class Headline:
    """The most telling differences, of so many comparisons, so many of which exclude zero."""

    findings: tuple[Finding, ...]
    compared: int
    beyond: int


def tables(view: ReportView) -> list[Table]:
    """One table per measure, in the order of `view.measures`."""
    return [_table(rows, view) for rows in _by_name(view.measures)]


def palette(view: ReportView) -> dict[str, int]:
    """The colour of each arm, one and the same wherever the page shows it."""
    arms = ordered([*view.arms, *(row.arm for row in view.measures)])
    return {arm: index % COLOURS for index, arm in enumerate(arms)}


def headline(view: ReportView) -> Headline:
    """The differences furthest beyond their intervals, |difference| / half-width, whatever the unit.

    Each measure gives its clearest before any gives its second, and what got worse is never crowded out: if all the
    places went to gains, the last goes to the clearest loss. Where nothing is beyond its interval, that is what is
    said, of the same number.
    """
    found = sorted(_findings(view), key=lambda pair: -pair[0])
    beyond = [pair for pair in found if pair[1].change.verdict in ("better", "worse")]
    chosen = _spread(beyond or found)[:TELLING]
    losses = [pair for pair in beyond if pair[1].change.verdict == "worse"]
    if losses and not any(finding.change.verdict == "worse" for _, finding in chosen):
        chosen[-1] = losses[0]
    chosen.sort(key=lambda pair: -pair[0])
    return Headline(tuple(finding for _, finding in chosen), len(found), len(beyond))


def _findings(view: ReportView) -> Iterator[tuple[float, Finding]]:
    """Every difference to a control that was measured too, with how telling it is."""
    for rows in _by_name(view.measures):
        scale, at = Scale.of(rows), {(row.arm, row.group): row for row in rows}
        for row in rows:
            before = at.get((row.control or view.control, row.group))
            change = _change(row, scale)
            if change is not None and before is not None and before is not row:
                yield _strength(row), _finding(row, before, change, scale)


def _spread(found: Sequence[tuple[float, Finding]]) -> list[tuple[float, Finding]]:
    """First the first of each measure, then the second of each, and so on; else in the order given."""
    turns: dict[str, int] = {}
    keyed = []
    for pair in found:
        turns[pair[1].measure] = turns.get(pair[1].measure, 0) + 1
        keyed.append((turns[pair[1].measure], pair))
    return [pair for _, pair in sorted(keyed, key=lambda each: each[0])]


def _by_name(measures: Iterable[Measure]) -> list[list[Measure]]:
    """Rows that share a table. A second row for the same arm and group (another extractor, say) starts another."""
    found: dict[Hashable, list[Measure]] = {}
    seen: dict[Hashable, int] = {}
    for row in measures:
        place = (row.name, row.arm, row.group)
        seen[place] = seen.get(place, 0) + 1
        found.setdefault((row.name, seen[place]), []).append(row)
    return list(found.values())


def _table(rows: Sequence[Measure], view: ReportView) -> Table:
    scale = Scale.of(rows)
    arms = ordered([*view.arms, *(row.arm for row in rows)], {row.arm for row in rows})
    groups = ordered([row.group for row in rows])
    at = {(row.arm, row.group): row for row in rows}
    controls = {row.control for row in rows if row.control} or {view.control}
    lines = tuple(
        Line(arm, arm in controls, tuple(_cell(at.get((arm, group)), scale) for group in groups)) for arm in arms
    )
    better = "higher is better" if rows[0].higher_is_better else "lower is better"
    compared = any(cell and cell.change for line in lines for cell in line.cells)
    return Table(
        name=rows[0].name,
        better=better,
        points=scale.points,
        control=", ".join(sorted(controls)) if compared else "",
        groups=tuple(groups),
        lines=lines,
        notes=_notes(rows),
        plot=plot(rows, arms, groups, palette(view), controls, scale),
    )


def _cell(row: Measure | None, scale: Scale) -> Cell | None:
    if row is None:
        return None
    tooltip = "\n".join(f"{key}: {said(value)}" for key, value in row.detail.items())
    return Cell(scale.value(row.value), scale.interval(row.low, row.high), row.n, _change(row, scale), tooltip)


def _change(row: Measure, scale: Scale) -> Change | None:
    if math.isnan(row.difference):
        return None
    text = scale.difference(row.difference)
    interval = scale.difference_interval(row.difference_low, row.difference_high)
    if not interval:
        return Change("unsure", "", text, interval)
    if row.difference_low <= 0 <= row.difference_high:
        return Change("within", "", text, interval)
    up = row.difference > 0
    return Change("better" if up == row.higher_is_better else "worse", "▲" if up else "▼", text, interval)


def _strength(row: Measure) -> float:
    half = (row.difference_high - row.difference_low) / 2
    if not math.isfinite(half):
        return 0.0
    return abs(row.difference) / half if half > 0 else math.inf if row.difference else 0.0


def _finding(row: Measure, before: Measure, change: Change, scale: Scale) -> Finding:
    return Finding(
        measure=row.name,
        group=row.group,
        arm=row.arm,
        before=f"{scale.value(before.value)} {scale.interval(before.low, before.high)}".strip(),
        after=scale.value(row.value),
        interval=scale.interval(row.low, row.high),
        n=f"{row.n:,}" if row.n == before.n else f"{before.n:,} and {row.n:,}",
        change=change,
        points=scale.points,
    )


def _notes(rows: Sequence[Measure]) -> tuple[tuple[str, str], ...]:
    """What the details say: once where all rows agree, else by group or by arm, whichever decides it."""
    keys = ordered([key for row in rows for key in row.detail])
    return tuple((key.replace("_", " "), _note(rows, key)) for key in keys if key != "unit")


def _note(rows: Sequence[Measure], key: str) -> str:
    texts = [said(row.detail[key]) if key in row.detail else "not said" for row in rows]
    if len(set(texts)) == 1:
        return texts[0]
    for of in ("group", "arm"):
        pairs = ordered(list(zip([getattr(row, of) or "all prompts" for row in rows], texts, strict=True)))
        if len(pairs) == len({name for name, _ in pairs}):
            return ", ".join(f"{text} ({name})" for name, text in pairs)
    return "differs from cell to cell (point at one)"


def said(value: Any) -> str:
    """A detail in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(said(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {said(item)}" for key, item in value.items())
    return str(value)


def ordered(items: Sequence[Any], among: set[Any] | None = None) -> list[Any]:
    """Each item once, in order of first sight; only those in `among` if given."""
    return [item for item in dict.fromkeys(items) if among is None or item in among]
