"""The step `evaluate`: what the arms are worth, beside one another, with intervals."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from annotated_types import Ge

from realism.errors import RealismError, listed, nearest
from realism.evaluation import (
    OF_SCORES,
    OF_SETS,
    REAL,
    ArmFeatures,
    ArmScores,
    measure_floor,
    measure_scores,
    measure_set,
)
from realism.features import MAX_SIDE, features_of_records, features_of_samples
from realism.groups import ALL, group_of, keys_of
from realism.parts import BaseReward, Images, Prompts, SetMetric
from realism.parts.step import Step, arms, arms_missing, called_twice, chosen, named
from realism.run.state import State
from realism.run.work import Work
from realism.scores import known_rewards, scores_of
from realism.selection import SELECTED_FROM, Verdict, measured, round_name
from realism.steps.benchmarks import misfit, steps_of
from realism.tables import Measure, RecordRow, Sample, read, write_part


class Group(NamedTuple):
    """Prompts that are measured together: the key they are grouped by ("" for all), their name and their ids."""

    by: str
    name: str
    prompts: set[str]


@dataclass
class Evaluate(Step):
    """Means of all scores, and distances to real images, of every arm and group, each beside the control arm.

    Metrics are given for real images too, in the line "(real images)": as many as the arms have, or half of all,
    against the rest. Intervals are at 95 %, by bootstrap over prompts; see `realism.evaluation`.
    """

    metrics: list[SetMetric] = field(default_factory=list)
    """Metrics of the set of an arm's images against the real ones."""
    real: Images | None = None
    """The real images; of them, a group is held against those whose subjects it has."""
    by: str | list[str] = field(default_factory=list)
    """A key of the prompts' metadata, `subject`, or a list of such: besides all prompts, each value of each key is
    measured by itself."""
    control: str = ""
    """The arm that the others are compared with; the first, if none is named."""
    arms: list[str] = field(default_factory=list)
    """Which arms to measure; all, if none is named."""
    benchmarks: list[Prompts] = field(default_factory=list)
    """Instead of arms made before: the prompts of benchmarks, drawn anew by the last generator with the weights it came
    with (arm `before`) and with what it has learnt (arm `after`), each benchmark a group."""
    rewards: list[BaseReward] = field(default_factory=list)
    """What judges the pictures of benchmarks; the rewards that scored before, if none is named."""
    per_prompt: Annotated[int, Ge(1)] = 4
    """How many pictures of each prompt of a benchmark."""

    evaluates_against = ("real",)

    def title(self) -> str:
        return "evaluate"

    def options_error(self) -> str | None:
        if self.metrics and self.real is None:
            return "metrics compare with real images: name them with 'real'"
        return called_twice(self.metrics, "metric") or misfit(self)

    def stands_for(self, before: Sequence[Step]) -> Sequence[Step]:
        return steps_of(self, before) if self.benchmarks else [self]

    def missing(self, there: Collection[str]) -> list[str]:
        found = chosen(there, self.arms)
        if not arms(there):
            return ["there are no samples to evaluate: put a step 'generate' before this"]
        if wrong := arms_missing(there, self.arms):
            return wrong
        if self.control and self.control not in found:
            return [f"control: no arm '{self.control}'{nearest(self.control, found)}; arms here: {listed(found)}"]
        if not self.metrics and not known_rewards(there):
            return ["there is nothing to evaluate: put a step 'score' before this, or name 'metrics'"]
        return []

    def reads(self, there: Collection[str]) -> list[str]:
        wanted = chosen(there, self.arms)
        told = [s for s in there if s.startswith("selection:")]
        return [s for s in there if s.startswith(("samples:", "scores:")) and s.split(":")[1] in wanted] + told

    def makes(self, there: Collection[str]) -> list[str]:
        return ["measures"]

    def run(self, state: State, work: Work) -> Mapping[str, Path]:
        names = chosen(state, self.arms)
        control = self.control or names[0]
        samples = {arm: list(read(state.path(f"samples:{arm}"), Sample)) for arm in names}
        groups = self._groups([s for rows in samples.values() for s in rows])
        rows = [
            *_scores(state, samples, groups, control, work),
            *self._sets(samples, groups, control, work),
            *_selections(state, work),
        ]
        write_part(rows, Measure, work.folder / "measures", 0)
        return {"measures": work.folder / "measures"}

    def _groups(self, samples: Sequence[Sample]) -> list[Group]:
        """All prompts, then each value of each key. A name that an earlier key has too is told apart by its key."""
        found = {ALL: Group("", ALL, {s.prompt_id for s in samples})}
        known = keys_of(samples)
        for key in [self.by] if isinstance(self.by, str) and self.by else self.by:
            if key not in known:
                there = f"{nearest(key, known)}; there are: {listed(known)}"
                raise RealismError(f"evaluate: no prompt has '{key}' in its metadata{there}")
            for sample in samples:
                if name := group_of(sample, key):
                    name = f"{key} {name}" if found.get(name, Group(key, "", set())).by != key else name
                    found.setdefault(name, Group(key, name, set())).prompts.add(sample.prompt_id)
        return list(found.values())

    def _sets(
        self, samples: dict[str, list[Sample]], groups: list[Group], control: str, work: Work
    ) -> Iterator[Measure]:
        if self.real is None:
            return
        for metric in self.metrics:
            real, records = features_of_records(metric.encoder, self.real, work)
            made = {arm: features_of_samples(metric.encoder, rows, arm, work) for arm, rows in samples.items()}
            for group in groups:
                arms_here = {arm: _of_group(made[arm], rows, group) for arm, rows in samples.items()}
                subjects = {s.subject for rows in samples.values() for s in rows if s.prompt_id in group.prompts}
                alike, said = _alike(records, subjects)
                if not alike:
                    self._say_none_alike(group, subjects, records, work)
                    continue
                row = partial(Measure, name=metric.part_name, group=group.name)
                row = partial(row, higher_is_better=metric.higher_is_better)
                detail = _set_detail(metric, group, work.seed) | {"real": f"{self.real.part_name}, {said}"}
                for numbers in measure_set(metric, arms_here, real[alike], control, work.seed):
                    yield row(detail=detail | _bias(metric, numbers["n"], len(alike)), **numbers)
                most = max(len(f.prompts) for f in arms_here.values())
                subject_of = {records[i].id: records[i].subject for i in alike}
                if floor := measure_floor(metric, real[alike], subject_of, most, work.seed):
                    split = {"floor": f"{REAL} is n of them, drawn by hash, against the rest"}
                    bias = _bias(metric, floor["n"], len(alike) - floor["n"])
                    yield row(detail=detail | bias | split, **floor)

    def _say_none_alike(self, group: Group, subjects: set[str], records: list[RecordRow], work: Work) -> None:
        some = next(iter(sorted(subjects)))
        there = sorted({r.subject for r in records if r.subject})
        text = f"no image of '{getattr(self.real, 'part_name', '')}' shows what the prompts ask for, such as '{some}'"
        if group.name == ALL:
            raise RealismError(f"evaluate: {text}{nearest(some, there)}; its subjects: {listed(there[:10])}")
        work.run.warn(f"evaluate: {text}; group '{group.name}' has no distances")


def _scores(
    state: State, samples: dict[str, list[Sample]], groups: list[Group], control: str, work: Work
) -> Iterator[Measure]:
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


def _selections(state: State, work: Work) -> Iterator[Measure]:
    """What each `select` before made of the samples, beside the first of them."""
    names = named(state, "selection")
    rounds = {round_name(name, state): list(read(state.path(f"selection:{name}"), Verdict)) for name in names}
    for name, group, values, share in measured(rounds):
        detail = {"seed": work.seed, "interval": OF_SCORES, SELECTED_FROM: "those to select from; n counts prompts"}
        detail |= {"unit": "share"} if share else {}
        row = partial(Measure, name=name, group=group or ALL, detail=detail)
        better = share or work.run.higher_is_better(name.split()[0])
        yield from (row(higher_is_better=better, **n) for n in measure_scores(values, next(iter(rounds)), work.seed))


def _detail(group: Group, seed: int) -> dict[str, Any]:
    return {"seed": seed} | ({"by": group.by} if group.by else {})


def _set_detail(metric: SetMetric, group: Group, seed: int) -> dict[str, Any]:
    encoder = metric.encoder
    return _detail(group, seed) | {
        "interval": OF_SETS,
        "extractor": f"{encoder.part_name} ({getattr(encoder, 'model', type(encoder).__name__)})",
        "resize": f"{encoder.preprocessing()}; before that, longer images are shrunk to {MAX_SIDE:,} pixels",
        "format": "PNG for generated images, real images as they are on disk",
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
