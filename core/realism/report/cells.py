"""A number of a table as the page shows it, and what else decides it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from realism.data.rows import Measure
from realism.measuring.descriptions import DESCRIPTION
from realism.measuring.reliability import encoders_of
from realism.report.format import Scale, is_zero

NOISE = 1e-7
"""What is no more than this share of the values is no difference of theirs."""
SHOWN_ELSEWHERE = ("unit", "seed", "seeds", "by seed", DESCRIPTION)
"""Details that a table shows in other ways than as a note."""


FEW = 8
"""Images below which no verdict rests on resampling: that of three or four values gives far too narrow intervals."""


@dataclass(frozen=True)
class Change:
    """A difference to the control, and a verdict on it with its reason: better, worse, within (as shown, its interval
    reaches zero), unsure (no interval), or unreliable (better or worse, by an encoder that fails where the answer is
    known)."""

    verdict: str
    arrow: str
    text: str
    interval: str
    why: str

    @property
    def beyond(self) -> bool:
        """Whether the interval excludes zero, whoever says so."""
        return self.verdict in ("better", "worse", "unreliable")


@dataclass(frozen=True)
class Cell:
    """One number of a table; change is None for the control and where nothing was compared."""

    value: str
    interval: str
    n: int
    change: Change | None
    tooltip: str
    seeds: tuple[tuple[str, str], ...] = ()
    """The value of each seed, where there are several."""


def cell(row: Measure | None, scale: Scale, failed: Collection[str] = ()) -> Cell | None:
    """A row of measures as a cell; None for none. failed: the unreliable encoders."""
    if row is None:
        return None
    tooltip = "\n".join(f"{key}: {in_words(value)}" for key, value in row.detail.items() if key not in SHOWN_ELSEWHERE)
    seeds = tuple((seed, scale.value(value)) for seed, value in values_by_seed(row).items())
    made = change(row, scale, failed)
    return Cell(scale.value(row.value), scale.interval(row.low, row.high), row.n, made, tooltip, seeds)


def values_by_seed(row: Measure) -> dict[str, float]:
    """The value of each seed, where a row is of several."""
    found = row.detail.get("by seed")
    return {str(seed): float(value) for seed, value in found.items()} if isinstance(found, dict) else {}


def change(row: Measure, scale: Scale, failed: Collection[str] = ()) -> Change | None:
    """What a row says of its difference to the control; None if it was not compared. failed: the unreliable encoders.

    The verdict is on the numbers as they are shown: what rounds to nothing is no difference."""
    if math.isnan(row.difference):
        return None
    ends = row.difference_low, row.difference_high
    encoder = next((name for name in encoders_of(row) if name in failed), "")
    caveat = f", by {encoder}, which is not shown to recognise such pictures" if encoder else ""
    made = partial(Change, text=scale.difference(row.difference), interval=scale.interval(*ends, signed=True))
    if not all(map(math.isfinite, ends)):
        return made("unsure", "", why=f"interval not known{caveat}")
    if ends[0] <= 0 <= ends[1]:
        return made("within", "", why=f"the interval includes 0{caveat}")
    if any(is_zero(scale.difference(one)) for one in (row.difference, *ends)):
        return made("within", "", why=f"as far as digits are shown, the interval reaches 0{caveat}")
    if row.n < FEW and "seeds" not in row.detail:
        return made("unsure", "", why=f"{row.n} are too few to trust an interval by resampling{caveat}")
    up = row.difference > 0
    verdict, arrow = "better" if up == row.higher_is_better else "worse", "▲" if up else "▼"
    if caveat:
        return made("unreliable", arrow, why=f"{verdict}{caveat}")
    return made(verdict, arrow, why="the interval excludes 0")


def cleaned(row: Measure) -> Measure:
    """The row without differences that are no more than rounding: scores are float32, which has seven digits."""
    noise = NOISE * max(abs(row.value), abs(row.value - row.difference))
    ends = ("difference", "difference_low", "difference_high")
    tiny: dict[str, Any] = {name: 0.0 for name in ends if math.isfinite(noise) and abs(getattr(row, name)) <= noise}
    return replace(row, **tiny) if tiny else row


def notes(rows: Sequence[Measure]) -> tuple[tuple[str, str], ...]:
    """What the details say: once where all rows agree, else by group or by arm, whichever decides it."""
    keys = ordered([key for row in rows for key in row.detail])
    return tuple((key.replace("_", " "), _note(rows, key)) for key in keys if key not in SHOWN_ELSEWHERE)


def _note(rows: Sequence[Measure], key: str) -> str:
    rows = [row for row in rows if key in row.detail]
    texts = [in_words(row.detail[key]) for row in rows]
    if len(set(texts)) == 1:
        return texts[0]
    for of in ("group", "arm"):
        pairs = ordered(list(zip([getattr(row, of) or "all prompts" for row in rows], texts, strict=True)))
        if len(pairs) == len({name for name, _ in pairs}):
            return ", ".join(f"{text} ({name})" for name, text in pairs)
    return "differs from cell to cell (point at one)"


def in_words(value: Any) -> str:
    """A detail in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(in_words(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {in_words(item)}" for key, item in value.items())
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
