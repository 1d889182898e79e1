"""Intervals of means by the bootstrap: percentiles of resampled means, in float64, with memory that stays flat."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from realism.errors import RealismError

AT_ONCE = 2**20
"""Draws held in memory at a time."""


class Interval(NamedTuple):
    """A mean with the ends of its interval; the ends are NaN where there is nothing to resample."""

    mean: float
    low: float
    high: float


def bootstrap_mean(
    values: Sequence[float] | np.ndarray, seed: int = 0, level: float = 0.95, resamples: int = 2000
) -> Interval:
    """The mean of values (n,) and its percentile interval, each value taken as independent of the others.

    NaN values are left out. Nothing left: all NaN; one value: the ends are NaN. Source: Efron 1979.
    """
    kept = np.asarray(values, np.float64)
    kept = kept[~np.isnan(kept)]
    return _interval(kept, np.ones(len(kept)), seed, level, resamples)


def bootstrap_groups(
    values: Sequence[float] | np.ndarray,
    groups: Sequence[Hashable] | np.ndarray,
    seed: int = 0,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """As `bootstrap_mean`, but whole groups (n,) are resampled: samples of one prompt are not independent.

    The mean is over values, so a group counts as often as it has values. With one value a group it is `bootstrap_mean`.
    """
    sums, counts = _by_group(values, groups)
    return _interval(sums, counts, seed, level, resamples)


def bootstrap_difference(
    values: Sequence[float] | np.ndarray,
    groups: Sequence[Hashable] | np.ndarray,
    control: Sequence[float] | np.ndarray,
    control_groups: Sequence[Hashable] | np.ndarray,
    seed: int = 0,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """The mean over prompts of (mean of values - mean of control), paired by prompt (the groups), with its interval.

    Prompts that only one side has are left out; each prompt counts once, however many samples it has.
    """
    ours, theirs = (_group_means(v, g) for v, g in ((values, groups), (control, control_groups)))
    shared = [group for group in ours if group in theirs]
    return bootstrap_mean(np.array([ours[g] - theirs[g] for g in shared]), seed, level, resamples)


def _by_group(values: Sequence[float] | np.ndarray, groups: Sequence[Hashable] | np.ndarray) -> tuple[np.ndarray, ...]:
    """Sum and number of the values of each group that are not NaN, groups in order of their first value."""
    array = np.asarray(values, np.float64)
    if len(array) != len(groups):
        raise RealismError(f"{len(array)} values, but {len(groups)} groups")
    order: dict[Hashable, int] = {}
    at = np.array([order.setdefault(group, len(order)) for group in groups], dtype=np.int64)
    kept = ~np.isnan(array)
    sums = np.bincount(at[kept], array[kept], len(order))
    counts = np.bincount(at[kept], minlength=len(order)).astype(np.float64)
    return sums[counts > 0], counts[counts > 0]


def _group_means(
    values: Sequence[float] | np.ndarray, groups: Sequence[Hashable] | np.ndarray
) -> dict[Hashable, float]:
    collected: dict[Hashable, list[float]] = {}
    for value, group in zip(values, groups, strict=True):
        if not np.isnan(value):
            collected.setdefault(group, []).append(float(value))
    return {group: float(np.mean(those)) for group, those in collected.items()}


def _interval(sums: np.ndarray, counts: np.ndarray, seed: int, level: float, resamples: int) -> Interval:
    """The ratio sum / count with its interval, over resampled units."""
    if not 0 < level < 1:
        raise RealismError(f"level {level} is no level of confidence: expected a number between 0 and 1, such as 0.95")
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
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high))
