"""From values and features of arms to measures with intervals. Pure: arrays in, numbers out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from realism.base.features import FeatureRows
from realism.base.files import digest
from realism.base.stats import bootstrap_difference, bootstrap_groups
from realism.parts import checked

if TYPE_CHECKING:
    from realism.parts import SetMetric

RESAMPLES = 100
"""How often sets are resampled for the interval of a set metric, which is computed anew each time."""
Z95 = 1.959963984540054
REAL = "(real images)"
"""What real images are called beside the arms; no arm can be called so."""
OF_SCORES = "95 %, bootstrap over prompts"
OF_SETS = "95 %, 1.96 standard errors over resampled prompts and real images"


@dataclass(frozen=True)
class ArmScores:
    """Values (n,) of one reward on one arm, and the prompt of each."""

    values: Sequence[float]
    prompts: Sequence[str]


@dataclass(frozen=True)
class ArmFeatures:
    """Features (n, d) of one arm's images, and the prompt of each."""

    features: FeatureRows
    prompts: Sequence[str]


def measure_scores(arms: Mapping[str, ArmScores], control: str, seed: int) -> Iterator[dict[str, Any]]:
    """Mean of each arm that has values, with its interval, and the difference to the control arm, paired by prompt.

    Both intervals are percentile bootstraps over prompts, as samples of one prompt are not independent; Wilson's and
    Newcombe's where all answers are yes or all are no (see `realism.base.stats`).
    """
    against = arms.get(control)
    for arm, scores in arms.items():
        if not scores.values:
            continue
        mean = bootstrap_groups(scores.values, scores.prompts, seed)
        numbers = {"arm": arm, "value": mean.mean, "low": mean.low, "high": mean.high, "n": len(scores.values)}
        if arm != control and against is not None and against.values:
            paired = bootstrap_difference(scores.values, scores.prompts, against.values, against.prompts, seed)
            numbers |= {"control": control, "difference": paired.mean}
            numbers |= {"difference_low": paired.low, "difference_high": paired.high}
        yield numbers


def spread_within(arm: ArmFeatures) -> ArmScores:
    """The diversity of the pictures of each prompt with several: the mean of 1 - cosine over their pairs, in
    [0, 2], with features (n, d) of any length. One value a prompt; a picture counts as its own pair nowhere."""
    names = sorted(set(arm.prompts))
    rank = {prompt: i for i, prompt in enumerate(names)}
    numbers = np.array([rank[prompt] for prompt in arm.prompts], np.int64)
    counts = np.bincount(numbers, minlength=len(names))
    several = np.flatnonzero(counts > 1)
    if not len(several):
        return ArmScores([], [])
    totals, start = np.zeros(0), 0
    for block in arm.features.blocks():
        unit = (block / np.linalg.norm(block, axis=1, keepdims=True)).astype(np.float64)
        totals = totals if totals.size else np.zeros((len(names), block.shape[1]))
        np.add.at(totals, numbers[start : start + len(block)], unit)
        start += len(block)
    # the sum of all products is that of the sum of rows with itself, less those of a row with itself
    n, whole = counts[several], (totals[several] ** 2).sum(1)
    values = np.maximum(0, 1 - (whole - n) / (n * (n - 1)))  # rounding alone goes below
    return ArmScores(values.tolist(), [names[i] for i in several.tolist()])


def measure_set(
    metric: SetMetric,
    arms: Mapping[str, ArmFeatures],
    real: FeatureRows,
    control: str,
    seed: int,
    tick: Callable[[], object] = lambda: None,
) -> Iterator[dict[str, Any]]:
    """The metric of each arm with at least `metric.least` images, and its difference to the control arm, which is over
    the prompts that both have.

    Intervals are value ± 1.96 standard errors over resamples of prompts (the same for both arms) and of real images.
    Percentiles would not do: a resample holds fewer distinct images, which moves a distance between sets upwards.
    tick: called after each of `RESAMPLES` resamples of the arms.
    """
    if len(real) < metric.least:
        return
    chosen = {arm: f for arm, f in arms.items() if len(f.features) >= metric.least}
    values = {arm: checked.measure(metric, f.features, real) for arm, f in chosen.items()}
    spread = _resampled(metric, chosen, real, seed, tick)
    for arm, f in chosen.items():
        numbers = {"arm": arm, "n": len(f.features), **_ends("value", "", values[arm], spread[arm])}
        if arm != control and control in chosen:
            pair = _on_shared_prompts(f, chosen[control])
            if pair is None:
                difference, resamples = values[arm] - values[control], spread[arm] - spread[control]
            else:
                difference, resamples = _difference(metric, pair, real, seed)
            numbers |= {"control": control, **_ends("difference", "difference_", difference, resamples)}
        yield numbers


def measure_floor(
    metric: SetMetric, real: FeatureRows, subjects: Mapping[str, str], n: int, seed: int
) -> dict[str, Any]:
    """What real images (m, d) score against others of their kind: the best that an arm of n images can hope for.

    n of them, or half where there are fewer than 2 n, are compared with the rest. subjects: the subject of each, by id;
    ids are hashed with the seed to choose, and each subject gives in proportion, as uneven halves would not be of one
    kind. Nothing if either part would have fewer than `metric.least` images.
    """
    drawn, ids = _spread_by_subject(subjects, seed), list(subjects)
    n = min(n, len(drawn) // 2)
    if n < metric.least:
        return {}
    part = ArmFeatures(real.only(np.asarray(drawn[:n])), [ids[i] for i in drawn[:n]])
    return next(measure_set(metric, {REAL: part}, real.only(np.asarray(drawn[n:])), "", seed))


def _spread_by_subject(subjects: Mapping[str, str], seed: int) -> list[int]:
    """The rows of all images, so ordered that any first few hold each subject in proportion to its images."""
    rows: dict[str, list[tuple[str, int]]] = {}
    for i, (id, subject) in enumerate(subjects.items()):
        rows.setdefault(subject, []).append((digest([seed, id]), i))
    order = [
        ((rank + 0.5) / len(members), hashed, i)
        for members in rows.values()
        for rank, (hashed, i) in enumerate(sorted(members))
    ]
    return [i for _, _, i in sorted(order)]


def _ends(name: str, prefix: str, value: float, spread: np.ndarray) -> dict[str, float]:
    half = Z95 * _standard_error(spread)
    return {name: value, f"{prefix}low": value - half, f"{prefix}high": value + half}


def _on_shared_prompts(ours: ArmFeatures, theirs: ArmFeatures) -> tuple[ArmFeatures, ArmFeatures] | None:
    """Both with the rows of the prompts that both have; None if that is all rows of both."""
    shared = set(ours.prompts) & set(theirs.prompts)
    if shared == set(ours.prompts) == set(theirs.prompts):
        return None
    return _of_prompts(ours, shared), _of_prompts(theirs, shared)


def _of_prompts(arm: ArmFeatures, prompts: Collection[str]) -> ArmFeatures:
    at = [i for i, prompt in enumerate(arm.prompts) if prompt in prompts]
    return ArmFeatures(arm.features.only(np.asarray(at, np.int64)), [arm.prompts[i] for i in at])


def _difference(
    metric: SetMetric, pair: tuple[ArmFeatures, ArmFeatures], real: FeatureRows, seed: int
) -> tuple[float, np.ndarray]:
    """The difference of the metric of two arms, and its resamples; NaN where either has too few images."""
    if min(len(f.features) for f in pair) < metric.least:
        return float("nan"), np.full(RESAMPLES, np.nan)
    ours, theirs = (checked.measure(metric, f.features, real) for f in pair)
    spread = _resampled(metric, {"ours": pair[0], "theirs": pair[1]}, real, seed)
    return ours - theirs, spread["ours"] - spread["theirs"]


def _standard_error(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.std(ddof=1)) if len(finite) > 1 else float("nan")


def _resampled(
    metric: SetMetric,
    arms: Mapping[str, ArmFeatures],
    real: FeatureRows,
    seed: int,
    tick: Callable[[], object] = lambda: None,
) -> dict[str, np.ndarray]:
    """The metric of each arm on each of RESAMPLES resamples of prompts and real images: arm -> (RESAMPLES,)."""
    random = np.random.default_rng(seed)
    prompts = sorted({p for f in arms.values() for p in f.prompts})
    rows = {arm: _rows_by_prompt(f.prompts, prompts) for arm, f in arms.items()}
    spread = {arm: np.full(RESAMPLES, np.nan) for arm in arms}
    for i in range(RESAMPLES):
        drawn = random.integers(0, len(prompts), len(prompts))
        others = real.only(np.sort(random.integers(0, len(real), len(real))))  # in order, they are read in one go
        for arm, f in arms.items():
            at = np.sort(np.concatenate([rows[arm][p] for p in drawn]))
            if len(at) >= metric.least:
                spread[arm][i] = metric.measure(f.features.only(at), others)
        tick()
    return spread


def _rows_by_prompt(of_rows: Sequence[str], prompts: Sequence[str]) -> list[np.ndarray]:
    place = {p: i for i, p in enumerate(prompts)}
    rows: list[list[int]] = [[] for _ in prompts]
    for row, prompt in enumerate(of_rows):
        rows[place[prompt]].append(row)
    return [np.array(r, dtype=np.int64) for r in rows]
