"""Intervals of means by the bootstrap: percentiles of resampled means, in float64, with memory that stays flat.

Yes-or-no values (0 and 1) that are all alike have nothing to resample: there Wilson's interval takes its place.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from realism.base.errors import RealismError

Values = Sequence[float] | np.ndarray
Groups = Sequence[Hashable] | np.ndarray
LEVEL = 0.95
"""Of confidence, of every interval."""
AT_ONCE = 2**20
"""Draws held in memory at a time."""


class Interval(NamedTuple):
    """A mean with the ends of its interval; the ends are NaN where there is nothing to resample."""

    mean: float
    low: float
    high: float


def bootstrap_mean(values: Values, seed: int = 0, resamples: int = 2000) -> Interval:
    """The mean of values (n,) and its percentile interval, each value taken as independent of the others.

    NaN values are left out. Nothing left: all NaN; one value: the ends are NaN; all 0 or all 1: Wilson's interval.
    Source: Efron 1979.
    """
    return bootstrap_groups(values, range(len(values)), seed, resamples)


def wilson(yes: float, n: int) -> Interval:
    """The share of `yes` of n answers (n at least 1) and its score interval, which has a width even at 0 and at 1.

    Source: Wilson 1927: (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n).
    """
    z, p = NormalDist().inv_cdf((1 + LEVEL) / 2), yes / n
    centre, scale = p + z**2 / (2 * n), 1 + z**2 / n
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return Interval(p, max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale))


def bootstrap_groups(values: Values, groups: Groups, seed: int = 0, resamples: int = 2000) -> Interval:
    """As `bootstrap_mean`, but whole groups (n,) are resampled: samples of one prompt are not independent.

    The mean is over values, so a group counts as often as it has values. With one value a group it is `bootstrap_mean`.
    Where all values are 0 or all are 1 the interval is Wilson's, each group counted as one answer.
    """
    _, sums, counts = _by_group(values, groups)
    if (answer := _same_answer(sums / counts)) is not None and len(sums) > 1:
        return wilson(answer * len(sums), len(sums))
    return _interval(sums, counts, seed, resamples)


def bootstrap_difference(
    values: Values, groups: Groups, control: Values, control_groups: Groups, seed: int = 0
) -> Interval:
    """The mean over prompts of (mean of values - mean of control), paired by prompt (the groups), with its interval.

    Prompts that only one side has are left out; each prompt counts once, however many samples it has. Where both sides
    are all 0 or all 1, the interval is Newcombe's.
    """
    sides = (_by_group(values, groups), _by_group(control, control_groups))
    ours, theirs = (dict(zip(names, sums / counts, strict=True)) for names, sums, counts in sides)
    shared = [group for group in ours if group in theirs]
    a, b = (np.array([side[g] for g in shared], np.float64) for side in (ours, theirs))
    if len(shared) > 1 and _same_answer(a) is not None and _same_answer(b) is not None:
        return newcombe(bootstrap_mean(a), bootstrap_mean(b))
    return _interval(a - b, np.ones(len(shared)), seed)


def newcombe(ours: Interval, theirs: Interval) -> Interval:
    """The difference of two shares and its interval, from the Wilson intervals of both.

    Source: Newcombe 1998, "Interval estimation for the difference between independent proportions", method 10:
    d - sqrt((p1 - l1)^2 + (u2 - p2)^2) to d + sqrt((u1 - p1)^2 + (p2 - l2)^2).
    """
    difference = ours.mean - theirs.mean
    below = math.hypot(ours.mean - ours.low, theirs.high - theirs.mean)
    above = math.hypot(ours.high - ours.mean, theirs.mean - theirs.low)
    return Interval(difference, max(-1.0, difference - below), min(1.0, difference + above))


def _same_answer(values: np.ndarray) -> float | None:
    """0 or 1 if that is what all values are, else None."""
    return next((answer for answer in (0.0, 1.0) if len(values) and (values == answer).all()), None)


def _by_group(values: Values, groups: Groups) -> tuple[list[Hashable], np.ndarray, np.ndarray]:
    """The groups with values that are not NaN, in order of their first value; sum and number of these values."""
    array = np.asarray(values, np.float64)
    if len(array) != len(groups):
        raise RealismError(f"{len(array)} values, but {len(groups)} groups")
    order: dict[Hashable, int] = {}
    at = np.array([order.setdefault(group, len(order)) for group in groups], dtype=np.int64)
    kept = ~np.isnan(array)
    sums = np.bincount(at[kept], array[kept], len(order))
    counts = np.bincount(at[kept], minlength=len(order)).astype(np.float64)
    names = [group for group, at in order.items() if counts[at]]
    return names, sums[counts > 0], counts[counts > 0]


def _interval(sums: np.ndarray, counts: np.ndarray, seed: int, resamples: int = 2000) -> Interval:
    """The ratio sum / count with its interval, over resampled units."""
    n = len(sums)
    if n == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    mean = float(sums.sum() / counts.sum())
    if n == 1:
        return Interval(mean, float("nan"), float("nan"))
    random = np.random.default_rng(seed)
    means = np.empty(resamples)
    rows = max(1, AT_ONCE // n)
    for start in range(0, resamples, rows):
        drawn = random.integers(0, n, (min(rows, resamples - start), n))
        means[start : start + rows] = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(mean, float(low), float(high))
