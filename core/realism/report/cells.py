"""A number of a table as the page shows it, and what else decides it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from realism.data.rows import Measure
from realism.report.format import Scale

UNSAID = ("unit", "seed", "seeds")
"""Details that a table shows in other ways: in its unit and in what its intervals are called."""


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


def cell(row: Measure | None, scale: Scale) -> Cell | None:
    """A row of measures as a cell; None for none."""
    if row is None:
        return None
    tooltip = "\n".join(f"{key}: {said(value)}" for key, value in row.detail.items())
    return Cell(scale.value(row.value), scale.interval(row.low, row.high), row.n, change(row, scale), tooltip)


def change(row: Measure, scale: Scale) -> Change | None:
    """What a row says of its difference to the control; None if it was not compared."""
    if math.isnan(row.difference):
        return None
    text = scale.difference(row.difference)
    interval = scale.interval(row.difference_low, row.difference_high, signed=True)
    if not interval:
        return Change("unsure", "", text, interval)
    if row.difference_low <= 0 <= row.difference_high:
        return Change("within", "", text, interval)
    up = row.difference > 0
    return Change("better" if up == row.higher_is_better else "worse", "▲" if up else "▼", text, interval)


def notes(rows: Sequence[Measure]) -> tuple[tuple[str, str], ...]:
    """What the details say: once where all rows agree, else by group or by arm, whichever decides it."""
    keys = ordered([key for row in rows for key in row.detail])
    return tuple((key.replace("_", " "), _note(rows, key)) for key in keys if key not in UNSAID)


def _note(rows: Sequence[Measure], key: str) -> str:
    rows = [row for row in rows if key in row.detail]
    texts = [said(row.detail[key]) for row in rows]
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


def turns_of(keys: Iterable[Hashable]) -> Iterator[int]:
    """For each key, how many equal ones came before it."""
    seen: Counter[Hashable] = Counter()
    for key in keys:
        yield seen[key]
        seen[key] += 1


def ordered(items: Sequence[Any], among: set[Any] | None = None) -> list[Any]:
    """Each item once, in order of first sight; only those in `among` if given."""
    return [item for item in dict.fromkeys(items) if among is None or item in among]
