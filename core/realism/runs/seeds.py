"""One recipe with several seeds: measures of each seed become one, with an interval over seeds."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from realism.base.files import digest
from realism.base.tables import read, write_shard
from realism.data.artifacts import Measures, Samples
from realism.data.rows import Measure
from realism.data.state import State

SAME = 1e-9
"""Seeds that differ by less agree."""


def pooled(states: Sequence[State], folder: Path) -> State:
    """The state of the first seed, with each table of measures that of all seeds which have it, written below the
    folder."""
    state = states[0] if states else State()
    for measures in dict.fromkeys(m for one in states for m in Measures.among(one)):
        done = [one for one in states if measures in one]
        if len(done) < 2:
            state = state.after({measures: done[0].path(measures)}, done[0][measures].fingerprint)
            continue
        fingerprint = digest([one[measures].fingerprint for one in done])
        place = folder / f"seeds-{fingerprint[:12]}" / measures.place
        write_shard(pool([list(read(one.path(measures), Measure)) for one in done], _shared(done)), Measure, place, 0)
        state = state.after({measures: place}, fingerprint)
    return state


def _shared(states: Sequence[State]) -> set[str]:
    """The arms whose samples are the same in all of these."""
    every = [{s.arm: state[s].fingerprint for s in Samples.among(state)} for state in states]
    return {arm for arm, fingerprint in every[0].items() if all(one.get(arm) == fingerprint for one in every)}


def pool(by_seed: Sequence[Sequence[Measure]], shared: Collection[str] = ()) -> list[Measure]:
    """The mean over seeds of each measure and of its difference to the control, in the order of the first seed.

    Intervals are mean ± t * s / sqrt(k), Student's t at 95 % with k - 1 degrees of freedom over the k seeds: what
    another seed (other noise, another training) would give on the same prompts. Where all seeds agree, that
    would have no width, and the interval is the one that the first seed has over its prompts. A share's interval
    ends at 0 and 1. n counts images of all seeds.

    shared: arms that are the same for all seeds, such as photographs, whose images count once.
    """
    rows: dict[tuple[str, str, str, str], list[Measure]] = {}
    for measures in by_seed:
        for row in measures:
            extractor = str(row.detail.get("extractor", ""))
            rows.setdefault((row.name, row.arm, row.group, extractor), []).append(row)
    return [_of_all(same, same[0].arm in shared) for same in rows.values()]


def _of_all(rows: Sequence[Measure], shared: bool) -> Measure:
    seeds = [r.detail["seed"] for r in rows if "seed" in r.detail]
    first = {k: v for k, v in rows[0].detail.items() if k != "seed"}
    measured = sum(not math.isnan(r.value) for r in rows)
    values = {str(r.detail["seed"]): r.value for r in rows if "seed" in r.detail and not math.isnan(r.value)}
    detail = {**first, "seeds": seeds, "by seed": values, "interval": f"95 % of Student's t over {measured} seeds"}
    value, low, high = mean_interval([r.value for r in rows])
    if first.get("unit") == "share":
        low, high = (float(end) for end in np.clip([low, high], 0, 1))
    difference, difference_low, difference_high = mean_interval([r.difference for r in rows])
    if high - low < SAME:
        low, high = rows[0].low, rows[0].high
        detail["interval"] = "that of one seed over its prompts, as all seeds agree"
    if difference_high - difference_low < SAME:
        difference_low, difference_high = rows[0].difference_low, rows[0].difference_high
    return replace(
        rows[0],
        value=value,
        low=low,
        high=high,
        n=rows[0].n if shared else sum(r.n for r in rows),
        difference=difference,
        difference_low=difference_low,
        difference_high=difference_high,
        detail=detail,
    )


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean of the values (k,) that are not NaN, and the ends of Student's 95 % interval; NaN ends for fewer than 2."""
    from scipy.stats import t

    kept = np.asarray([v for v in values if not math.isnan(v)], np.float64)
    if not len(kept):
        return math.nan, math.nan, math.nan
    mean = float(kept.mean())
    if len(kept) == 1:
        return mean, math.nan, math.nan
    half = float(t.ppf(0.975, len(kept) - 1) * kept.std(ddof=1) / math.sqrt(len(kept)))
    return mean, mean - half, mean + half
