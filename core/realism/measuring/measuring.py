"""What the step `evaluate` measures, as rows: scores, selections, diversity, distances to real images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from realism.base.errors import RealismError, listed, nearest
from realism.base.tables import read
from realism.data.rows import Measure, RecordRow, Sample
from realism.data.state import State
from realism.databases.features import MAX_SIDE, features_of_records, features_of_samples
from realism.measuring.evaluation import (
    OF_SCORES,
    OF_SETS,
    REAL,
    ArmFeatures,
    ArmScores,
    measure_floor,
    measure_scores,
    measure_set,
    spread_within,
)
from realism.measuring.groups import ALL
from realism.measuring.scores import known_rewards, scores_of
from realism.measuring.selection import SELECTED_FROM, Verdict, measured, round_name
from realism.parts import Images, Retriever, SetMetric
from realism.parts.step import named
from realism.run.work import Work

Samples = Mapping[str, list[Sample]]
"""The samples of each arm."""


class Group(NamedTuple):
    """Prompts that are measured together: the key they are grouped by ("" for all), their name and their ids."""

    by: str
    name: str
    prompts: set[str]


def of_scores(state: State, samples: Samples, groups: Sequence[Group], control: str, work: Work) -> Iterator[Measure]:
    """The mean of each reward, by arm and group."""
    of_arm = {arm: scores_of(state, arm) for arm in samples}
    for reward in known_rewards(state):
        given = {values[reward] for scores in of_arm.values() for values in scores.values() if reward in values}
        unit = {"unit": "share"} if given <= {0.0, 1.0} else {}
        for group in groups:
            scores: dict[str, ArmScores] = {}
            for arm, rows in samples.items():
                chosen = [s for s in rows if s.prompt_id in group.prompts and reward in of_arm[arm].get(s.id, {})]
                scores[arm] = ArmScores([of_arm[arm][s.id][reward] for s in chosen], _clusters(chosen))
            detail = _detail(group, work.seed) | unit | {"interval": OF_SCORES}
            row = partial(Measure, name=reward, group=group.name, detail=detail)
            better = work.run.higher_is_better(reward)
            yield from (row(higher_is_better=better, **n) for n in measure_scores(scores, control, work.seed))


def of_selections(state: State, work: Work) -> Iterator[Measure]:
    """What each `select` before made of the samples, beside the first of them."""
    names = named(state, "selection")
    rounds = {round_name(name, state): list(read(state.path(f"selection:{name}"), Verdict)) for name in names}
    for told in measured(rounds):
        detail = {"seed": work.seed, "interval": OF_SCORES, SELECTED_FROM: "those to select from; n counts prompts"}
        detail |= {} if told.reward else {"unit": "share"}
        row = partial(Measure, name=told.name, group=told.group or ALL, detail=detail)
        better = not told.reward or work.run.higher_is_better(told.reward)
        numbers = measure_scores(told.values, next(iter(rounds)), work.seed)
        yield from (row(higher_is_better=better, **n) for n in numbers)


def of_diversity(
    encoder: Retriever, samples: Samples, groups: Sequence[Group], control: str, work: Work
) -> Iterator[Measure]:
    """How unlike one another the pictures of one prompt are, by arm and group; see `spread_within`."""
    made = {arm: features_of_samples(encoder, rows, arm, work) for arm, rows in samples.items()}
    for group in groups:
        here = {arm: spread_within(_of_group(made[arm], rows, group)) for arm, rows in samples.items()}
        detail = _detail(group, work.seed) | {"interval": OF_SCORES, "n counts": "prompts with several pictures"}
        row = partial(Measure, name="diversity", group=group.name, detail=detail | _seen_by(encoder))
        yield from (row(**numbers) for numbers in measure_scores(here, control, work.seed))


def of_sets(
    metrics: Sequence[SetMetric], images: Images, samples: Samples, groups: Sequence[Group], control: str, work: Work
) -> Iterator[Measure]:
    """The distance of each arm's images to real ones, by group, and in the line of real images what these have."""
    for metric in metrics:
        real, records = features_of_records(metric.encoder, images, work)
        made = {arm: features_of_samples(metric.encoder, rows, arm, work) for arm, rows in samples.items()}
        for group in groups:
            arms_here = {arm: _of_group(made[arm], rows, group) for arm, rows in samples.items()}
            subjects = {s.subject for rows in samples.values() for s in rows if s.prompt_id in group.prompts}
            alike, said = _alike(records, subjects)
            if not alike:
                _say_none_alike(images, group, subjects, records, work)
                continue
            row = partial(Measure, name=metric.part_name, group=group.name)
            row = partial(row, higher_is_better=metric.higher_is_better)
            detail = _set_detail(metric, group, work.seed) | {"real": f"{images.part_name}, {said}"}
            for numbers in measure_set(metric, arms_here, real[alike], control, work.seed):
                yield row(detail=detail | _bias(metric, numbers["n"], len(alike)), **numbers)
            most = max(len(f.prompts) for f in arms_here.values())
            subject_of = {records[i].id: records[i].subject for i in alike}
            if floor := measure_floor(metric, real[alike], subject_of, most, work.seed):
                split = {"floor": f"{REAL} is n of them, drawn by hash, against the rest"}
                bias = _bias(metric, floor["n"], len(alike) - floor["n"])
                yield row(detail=detail | bias | split, **floor)


def _say_none_alike(images: Images, group: Group, subjects: set[str], records: list[RecordRow], work: Work) -> None:
    some = next(iter(sorted(subjects)))
    there = sorted({r.subject for r in records if r.subject})
    text = f"no image of '{images.part_name}' shows what the prompts ask for, such as '{some}'"
    if group.name == ALL:
        raise RealismError(f"evaluate: {text}{nearest(some, there)}; its subjects: {listed(there[:10])}")
    work.run.warn(f"evaluate: {text}; group '{group.name}' has no distances")


def _detail(group: Group, seed: int) -> dict[str, Any]:
    return {"seed": seed} | ({"by": group.by} if group.by else {})


def _set_detail(metric: SetMetric, group: Group, seed: int) -> dict[str, Any]:
    files = {"format": "PNG for generated images, real images as they are on disk"}
    return _detail(group, seed) | {"interval": OF_SETS} | _seen_by(metric.encoder) | files


def _seen_by(encoder: Retriever) -> dict[str, str]:
    return {
        "extractor": f"{encoder.part_name} ({getattr(encoder, 'model', type(encoder).__name__)})",
        "resize": f"{encoder.preprocessing()}; before that, longer images are shrunk to {MAX_SIDE:,} pixels",
    }


def _bias(metric: SetMetric, n: int, real: int) -> dict[str, Any]:
    if min(n, real) >= metric.unbiased_from:
        return {}
    return {"bias": f"fewer than {metric.unbiased_from:,} images bias it: compare only what has the same n"}


def _of_group(features: np.ndarray, rows: list[Sample], group: Group) -> ArmFeatures:
    at = [i for i, s in enumerate(rows) if s.prompt_id in group.prompts]
    return ArmFeatures(features[at], _clusters([rows[i] for i in at]))


def _clusters(samples: list[Sample]) -> list[str]:
    """What is resampled together: the pictures of one text, which share what was retrieved for it; where there is but
    one text, those of one prompt."""
    texts = [s.text for s in samples]
    return texts if len(set(texts)) > 1 else [s.prompt_id for s in samples]


def _alike(records: list[RecordRow], subjects: set[str]) -> tuple[list[int], str]:
    """Which records show one of the subjects, and that in words: all, if prompts or records have no subjects at all."""
    named = {s for s in subjects if s}
    there = {r.subject for r in records if r.subject}
    if not named or not there:
        return list(range(len(records))), f"all {len(records):,} images, whatever they show"
    alike = [i for i, r in enumerate(records) if r.subject in named]
    lacking = f" ({len(named - there):,} of {len(named):,} subjects have none)" if named - there else ""
    return alike, f"{len(alike):,} images{lacking}"
