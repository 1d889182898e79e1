"""Tables of many groups: a line a group, a column an arm, those first that gained most."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from realism.data.rows import Measure
from realism.report.cells import Cell, cell, ordered
from realism.report.format import Scale

FEW = 6
"""Groups that stand beside one another as columns; more become the lines of a table of their own."""


@dataclass(frozen=True)
class ClassTable:
    """One measure by one key: a line for each of its groups, sorted by what `by_arm` gained."""

    key: str
    arms: tuple[str, ...]
    by_arm: str
    lines: tuple[tuple[str, tuple[Cell | None, ...]], ...]
    points: str


def split(rows: Sequence[Measure]) -> tuple[list[Measure], dict[str, list[Measure]]]:
    """Rows for the table that is seen first (all prompts, and the first key if its groups are few), and the rest by
    key."""
    keys = ordered([key_of(row) for row in rows if key_of(row)])
    few = [key for key in keys[:1] if len({row.group for row in rows if key_of(row) == key}) <= FEW]
    rest = {key: [row for row in rows if key_of(row) == key] for key in keys if key not in few}
    first = [row for row in rows if key_of(row) not in rest]
    return (first, rest) if first else (list(rows), {})


def key_of(row: Measure) -> str:
    """What the group of this row is a value of; "" for all prompts."""
    return str(row.detail.get("by", ""))


def class_tables(
    rest: dict[str, list[Measure]], arms: Sequence[str], failed: Collection[str] = ()
) -> tuple[ClassTable, ...]:
    """A table for each key; arms in the order given. failed: the unreliable encoders."""
    return tuple(_class_table(key, rows, arms, failed) for key, rows in rest.items())


def _class_table(key: str, rows: Sequence[Measure], arms: Sequence[str], failed: Collection[str]) -> ClassTable:
    scale, at = Scale.of(rows), {(row.arm, row.group): row for row in rows}
    shown = ordered([*arms, *(row.arm for row in rows)], {row.arm for row in rows})
    compared = [row.arm for row in rows if not math.isnan(row.difference)]
    by_arm = next((arm for arm in reversed(shown) if arm in compared), shown[-1])
    groups = sorted(ordered([row.group for row in rows]), key=lambda group: _rank(at.get((by_arm, group))))
    lines = tuple((group, tuple(_brief(at.get((arm, group)), scale, failed) for arm in shown)) for group in groups)
    return ClassTable(key, tuple(shown), by_arm, lines, scale.points)


def _brief(row: Measure | None, scale: Scale, failed: Collection[str]) -> Cell | None:
    """A cell without the details of its row, of which there would be hundreds."""
    made = cell(row, scale, failed)
    return replace(made, tooltip="") if made else None


def _rank(row: Measure | None) -> tuple[bool, float]:
    """Best first: by what was gained on the control, or by the value where nothing is compared."""
    if row is None:
        return True, 0.0
    worth = row.value if math.isnan(row.difference) else row.difference
    worth = -worth if row.higher_is_better else worth
    return math.isnan(worth), 0.0 if math.isnan(worth) else worth
