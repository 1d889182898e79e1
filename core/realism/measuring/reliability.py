"""What makes measures unreliable: references no better than chance, and encoders that fail where the answer is known.
Pure: rows of measures in, sentences out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from realism.base.stats import Interval
from realism.data.rows import Measure
from realism.measuring.groups import ALL

CHANCE = "(chance)"
"""The line of the share that chance alone would give; no arm can be called so."""
ENCODERS = "encoder"
"""The detail that names the encoders of a score; distances between sets name theirs as the extractor."""


class Share(NamedTuple):
    """How many of n answers were right, and the share that chance would give, NaN if it is not known."""

    right: Interval
    n: int
    chance: float


def beside_chance(shares: Mapping[str, Share], lines: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The numbers of each share, with its difference to chance, which is taken as exact; then those of chance itself.
    lines: what the line of chance is called for each."""
    chances: dict[str, Share] = {}
    for name, share in shares.items():
        value, low, high = share.right
        numbers = {"arm": name, "value": value, "low": low, "high": high, "n": share.n}
        if not math.isnan(share.chance):
            chances.setdefault(lines[name], share)
            numbers |= {"control": lines[name], "difference": value - share.chance}
            numbers |= {"difference_low": low - share.chance, "difference_high": high - share.chance}
        yield numbers
    for line, share in chances.items():
        yield {"arm": line, "value": share.chance, "low": math.nan, "high": math.nan, "n": share.n}


def chance_lines(groups: Sequence[Mapping[str, Share]]) -> dict[str, str]:
    """What the line of chance is called beside each name: one for all, or one for each where they differ."""
    same = all(len({round(share.chance, 9) for share in shares.values()}) < 2 for shares in groups)
    names = dict.fromkeys(name for shares in groups for name in shares)
    return {name: CHANCE if same else f"{CHANCE[:-1]} of {name})" for name in names}


def encoders_of(row: Measure) -> list[str]:
    """The encoders that a measure rests on."""
    return list(row.detail.get(ENCODERS, [row.detail["extractor"]] if "extractor" in row.detail else []))


def unreliable_encoders(rows: Iterable[Measure]) -> list[str]:
    """The encoders that name the subjects of real images no better than chance."""
    return [encoder for row in rows if _no_better(row) for encoder in encoders_of(row)]


def reliability_warnings(rows: Sequence[Measure]) -> Iterator[str]:
    """A sentence for each thing that makes these measures unreliable."""
    for row in filter(_no_better, rows):
        chance = row.value - row.difference
        if not (encoders := encoders_of(row)):
            yield _of_references(row, chance)
            continue
        resting = dict.fromkeys(r.name for r in rows if encoders[0] in encoders_of(r) and not is_chance(r.control))
        consequence = f"; measures that rest on it say little here: {', '.join(resting)}" if resting else ""
        yield (
            f"the encoder {encoders[0]} names {_share(row)} of {row.n:,} real images correctly, where chance gives "
            f"{_percent(chance)}: it is not shown to recognise such pictures{consequence}"
        )


def _of_references(row: Measure, chance: float) -> str:
    if chance < 1e-9:
        return (
            f"no image that could be found for '{row.arm}' has a subject that the prompts ask for, so no reference can "
            "be relevant: do prompts and database spell subjects the same way?"
        )
    return (
        f"the references of '{row.arm}' show the right subject for {_share(row)} of {row.n:,} prompts, where chance "
        f"gives {_percent(chance)}: its retriever is not shown to work on such pictures, and what this arm gains need "
        "not come from relevant references"
    )


def is_chance(line: str) -> bool:
    """Whether this is what a line of chance is called."""
    return line.startswith(CHANCE[:-1])


def _no_better(row: Measure) -> bool:
    """Whether a share, over all prompts, is not shown to be above chance."""
    return row.group == ALL and is_chance(row.control) and row.difference_low <= 0 and row.value < 1


def _share(row: Measure) -> str:
    return f"{_percent(row.value)} [{_percent(row.low)[:-2]}, {_percent(row.high)[:-2]}]"


def _percent(share: float) -> str:
    """0 %, 8.3 %, 74 %."""
    return f"{100 * share:.{int(0 < share < 0.0995)}f} %"
