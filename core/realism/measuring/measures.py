"""What the step `evaluate` measures, as rows: scores, selections, diversity, distances to real images."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from realism.base.errors import RealismError, listed, nearest
from realism.base.features import FeatureRows
from realism.base.tables import read
from realism.data.artifacts import Selection
from realism.data.rows import Measure, PromptSelection, RecordRow
from realism.measuring.arms import Arm, Gathered, Group
from realism.measuring.descriptions import described, description_of, descriptions_by_reward
from realism.measuring.encoders import encoders_by_reward, label
from realism.measuring.evaluation import (
    OF_SCORES,
    OF_SETS,
    REAL,
    RESAMPLES,
    ArmFeatures,
    ArmScores,
    measure_floor,
    measure_scores,
    measure_set,
    spread_within,
)
from realism.measuring.features import features_of, features_of_samples
from realism.measuring.groups import ALL
from realism.measuring.reliability import ENCODERS
from realism.measuring.selection import SELECTED_FROM, round_name, selection_measures
from realism.parts import ImageEncoder, Images, Part, SetMetric
from realism.parts.embedder import MAX_SIDE, KeyedRow, rows_of
from realism.parts.work import Work

DIVERSITY = "The mean cosine distance, 1 - cosine in [0, 2], over all pairs of pictures of one prompt."
CONSTANT_FROM = 8
"""Samples from which on one value for all is warned of."""
TRIED = 5
"""Resamples after which the time of all is estimated."""


def of_scores(
    gathered: Gathered, rewards: Sequence[str], parts: Sequence[Part], control: str, seed: int
) -> Iterator[Measure]:
    """The mean of each reward, by arm and group. parts: those that have given them."""
    encoders, descriptions = encoders_by_reward(parts), descriptions_by_reward(parts)
    for reward in rewards:
        given = [np.asarray(arm.scores.get(reward, ())) for arm in gathered.arms.values()]
        yes_or_no = all((np.isnan(values) | (values == 0) | (values == 1)).all() for values in given)
        about: dict[str, Any] = {"unit": "share" if yes_or_no else "mean"}
        about |= described(descriptions.get(reward, ""))
        about |= {ENCODERS: [label(one) for one in encoders[reward]]} if encoders.get(reward) else {}
        better = reward not in gathered.lower_is_better
        for group in gathered.groups:
            scores = {name: _of_reward(gathered, arm, reward, group) for name, arm in gathered.arms.items()}
            detail = _detail(group, seed) | about | {"interval": OF_SCORES}
            row = partial(Measure, name=reward, group=group.name, detail=detail)
            yield from (row(higher_is_better=better, **n) for n in measure_scores(scores, control, seed))


def constant_rewards(gathered: Gathered, rewards: Sequence[str]) -> Iterator[str]:
    """A sentence for each reward that gave all samples one value."""
    for reward in rewards:
        values = np.concatenate([np.asarray(arm.scores.get(reward, ())) for arm in gathered.arms.values()])
        values = values[~np.isnan(values)]
        if len(values) >= CONSTANT_FROM and (values == values[0]).all():
            yield f"'{reward}' gave {values[0]:g} to all {len(values):,} samples: it distinguishes nothing"


def _of_reward(gathered: Gathered, arm: Arm, reward: str, group: Group) -> ArmScores:
    values = np.asarray(arm.scores.get(reward, [np.nan] * len(arm.prompts)))
    at = arm.of(group)
    at = at[~np.isnan(values[at])]
    return ArmScores(values[at].tolist(), gathered.clusters(arm, at, group))


def of_selections(found: Sequence[Selection], work: Work) -> Iterator[Measure]:
    """What each of these selections made of the samples, beside the first of them."""
    every = Selection.among(work.state)
    rounds: dict[str, list[PromptSelection]] = {round_name(one, every): list(work.read(one)) for one in found}
    lower = {reward for verdicts in rounds.values() for v in verdicts for reward in v.lower_is_better}
    descriptions = descriptions_by_reward(work.depends)
    for one in selection_measures(rounds):
        detail = {"seed": work.seed, "interval": OF_SCORES, SELECTED_FROM: "those to select from; n counts prompts"}
        detail |= described(one.description or descriptions.get(one.reward, "")) | (
            {} if one.reward else {"unit": "share"}
        )
        row = partial(Measure, name=one.name, group=one.group or ALL, detail=detail)
        numbers = measure_scores(one.values, next(iter(rounds)), work.seed)
        yield from (row(higher_is_better=one.reward not in lower, **n) for n in numbers)


def of_diversity(encoder: ImageEncoder, gathered: Gathered, control: str, work: Work) -> Iterator[Measure]:
    """How different the pictures of one prompt are from one another, by arm and group; see `spread_within`."""
    made = {name: features_of_samples(encoder, name, work) for name in gathered.arms}
    for group in gathered.groups:
        here = {name: spread_within(_of_group(made[name], gathered, arm, group)) for name, arm in gathered.arms.items()}
        detail = (
            _detail(group, work.seed)
            | described(DIVERSITY)
            | {
                "interval": OF_SCORES,
                "unit": "mean",
                "n counts": "prompts with several pictures",
            }
        )
        row = partial(Measure, name="diversity", group=group.name, detail=detail | _seen_by(encoder))
        yield from (row(**numbers) for numbers in measure_scores(here, control, work.seed))


def of_sets(
    metrics: Sequence[SetMetric], images: Images, gathered: Gathered, control: str, work: Work
) -> Iterator[Measure]:
    """The distance of each arm's images to real ones, by group, and in the line of real images what these have."""
    for metric in metrics:
        real, table = features_of(metric.encoder, rows_of(images), f"real-{images.part_name}", work)
        records = list(read(table, KeyedRow))
        made = {name: features_of_samples(metric.encoder, name, work) for name in gathered.arms}
        tick = Pace(metric.part_name, RESAMPLES * len(gathered.groups), work)
        for group in gathered.groups:
            arms_here = {name: _of_group(made[name], gathered, arm, group) for name, arm in gathered.arms.items()}
            subjects = {gathered.subjects[prompt] for prompt in group.prompts}
            matching, which = _matching(records, subjects)
            if not matching:
                _warn_none_matching(images, group, subjects, records, work)
                continue
            row = partial(Measure, name=metric.part_name, group=group.name)
            row = partial(row, higher_is_better=metric.higher_is_better)
            detail = (
                described(description_of(metric))
                | _set_detail(metric, group, work.seed)
                | {"real": f"{images.part_name}, {which}"}
            )
            shown = real.only(np.asarray(matching))
            _warn_too_few(metric, arms_here, group, len(matching), work)
            for numbers in measure_set(metric, arms_here, shown, control, work.seed, tick):
                yield row(detail=detail | _bias(metric, numbers["n"], len(matching)), **numbers)
            most = max(len(f.prompts) for f in arms_here.values())
            subject_of = {records[i].id: records[i].subject for i in matching}
            if floor := measure_floor(metric, shown, subject_of, most, work.seed):
                split = {"floor": f"{REAL} is n of them, drawn by hash, against the rest"}
                bias = _bias(metric, floor["n"], len(matching) - floor["n"])
                yield row(detail=detail | bias | split, **floor)


class Pace:
    """Moves the bar while a metric is measured on resamples, and says once how long that will take, if it is long."""

    def __init__(self, metric: str, total: int, work: Work):
        self._metric, self._total, self._work, self._done = metric, total, work, 0
        self._began = time.monotonic()
        work.expect(total)

    def __call__(self) -> None:
        self._done += 1
        self._work.advance(1, kept=True)
        if self._done == TRIED:
            minutes = (time.monotonic() - self._began) / TRIED * self._total / 60
            if minutes >= 1:
                rest = f"intervals of {self._metric} rest on {self._total:,} resamples"
                self._work.say(f"{rest}, which take about {minutes:.0f} min")


def _warn_none_matching(
    images: Images, group: Group, subjects: set[str], records: Sequence[RecordRow], work: Work
) -> None:
    some = next(iter(sorted(subjects)))
    available = sorted({r.subject for r in records if r.subject})
    text = f"no image of '{images.part_name}' shows what the prompts ask for, such as '{some}'"
    if group.name == ALL:
        raise RealismError(f"evaluate: {text}{nearest(some, available)}; its subjects: {listed(available[:10])}")
    work.warn(f"evaluate: {text}; group '{group.name}' has no distances")


def _warn_too_few(metric: SetMetric, arms: Mapping[str, ArmFeatures], group: Group, real: int, work: Work) -> None:
    short = {**{f"arm '{name}'": len(f.features) for name, f in arms.items()}, "the real set": real}
    for name, n in short.items():
        if n < metric.least:
            needed = f"'{metric.part_name}' needs {metric.least:,} images or more, and {name} has {n:,}"
            work.warn(f"evaluate: {needed} in group '{group.name}'; nothing is measured there")


def _detail(group: Group, seed: int) -> dict[str, Any]:
    return {"seed": seed} | ({"by": group.by} if group.by else {})


def _set_detail(metric: SetMetric, group: Group, seed: int) -> dict[str, Any]:
    files = {"format": "PNG for generated images, real images as they are on disk"}
    return _detail(group, seed) | {"interval": OF_SETS, "unit": "distance"} | _seen_by(metric.encoder) | files


def _seen_by(encoder: ImageEncoder) -> dict[str, str]:
    return {
        "extractor": label(encoder),
        "resize": f"{encoder.preprocessing()}; before that, longer images are shrunk to {MAX_SIDE:,} pixels",
    }


def _bias(metric: SetMetric, n: int, real: int) -> dict[str, Any]:
    if min(n, real) >= metric.unbiased_from:
        return {}
    return {"bias": f"fewer than {metric.unbiased_from:,} images bias it: compare only what has the same n"}


def _of_group(features: FeatureRows, gathered: Gathered, arm: Arm, group: Group) -> ArmFeatures:
    at = arm.of(group)
    return ArmFeatures(features.only(at), gathered.clusters(arm, at, group))


def _matching(records: Sequence[RecordRow], subjects: set[str]) -> tuple[list[int], str]:
    """Which records show one of the subjects, and that in words: all, if prompts or records have no subjects at all."""
    named = {s for s in subjects if s}
    available = {r.subject for r in records if r.subject}
    if not named or not available:
        return list(range(len(records))), f"all {len(records):,} images, whatever they show"
    matching = [i for i, r in enumerate(records) if r.subject in named]
    missing_message = f" ({len(named - available):,} of {len(named):,} subjects have none)" if named - available else ""
    return matching, f"{len(matching):,} images{missing_message}"
