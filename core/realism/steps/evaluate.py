"""The step `evaluate`: what the arms are worth, beside one another, with intervals."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from realism.errors import RealismError, listed, nearest
from realism.evaluation import ArmFeatures, ArmScores, measure_scores, measure_set
from realism.features import features_of_records, features_of_samples
from realism.parts import Images, SetMetric
from realism.parts.step import Step, arms, called_twice
from realism.run.state import State
from realism.run.work import Work
from realism.scores import known_rewards, scores_of
from realism.tables import Measure, Sample, read, write_part

ALL = "all"


@dataclass
class Evaluate(Step):
    """Means of all scores, and distances to real images, of every arm and group, each beside the control arm.

    Intervals are at 95 %, by bootstrap over prompts; see `realism.evaluation`.
    """

    metrics: list[SetMetric] = field(default_factory=list)
    """Metrics of the set of an arm's images against the real ones."""
    real: Images | None = None
    """The real images; of them, a group is held against those whose subjects it has."""
    by: str = ""
    """A key of the prompts' metadata: besides all prompts, each of its values is measured by itself."""
    control: str = ""
    """The arm that the others are compared with; the first, if none is named."""

    def title(self) -> str:
        return "evaluate"

    def options_error(self) -> str | None:
        if self.metrics and self.real is None:
            return "metrics compare with real images: name them with 'real'"
        return called_twice(self.metrics, "metric")

    def missing(self, there: Collection[str]) -> list[str]:
        found = arms(there)
        if not found:
            return ["there are no samples to evaluate: put a step 'generate' before this"]
        if self.control and self.control not in found:
            return [f"control: no arm '{self.control}'{nearest(self.control, found)}; arms here: {listed(found)}"]
        if not self.metrics and not known_rewards(there):
            return ["there is nothing to evaluate: put a step 'score' before this, or name 'metrics'"]
        return []

    def reads(self, there: Collection[str]) -> list[str]:
        return [s for s in there if s.startswith(("samples:", "scores:"))]

    def makes(self, there: Collection[str]) -> list[str]:
        return ["measures"]

    def run(self, state: State, work: Work) -> Mapping[str, Path]:
        names = arms(state)
        control = self.control or names[0]
        samples = {arm: list(read(state.path(f"samples:{arm}"), Sample)) for arm in names}
        known = {key for rows in samples.values() for s in rows for key in s.metadata}
        if self.by and self.by not in known:
            near = nearest(self.by, known)
            raise RealismError(f"evaluate: no prompt has '{self.by}' in its metadata{near}; there are: {listed(known)}")
        rows = [*self._scores(state, samples, control, work), *self._sets(samples, control, work)]
        write_part(rows, Measure, work.folder / "measures", 0)
        return {"measures": work.folder / "measures"}

    def _groups(self, samples: dict[str, list[Sample]]) -> dict[str, set[str]]:
        """Each group, and the ids of its prompts."""
        groups: dict[str, set[str]] = {ALL: set()}
        for of_arm in samples.values():
            for sample in of_arm:
                groups[ALL].add(sample.prompt_id)
                if self.by and self.by in sample.metadata:
                    groups.setdefault(str(sample.metadata[self.by]), set()).add(sample.prompt_id)
        return groups

    def _scores(self, state: State, samples: dict[str, list[Sample]], control: str, work: Work) -> Iterator[Measure]:
        seed = work.seed
        of_arm = {arm: scores_of(state, arm) for arm in samples}
        for reward in known_rewards(state):
            part = work.run.recipe.rewards[reward]
            detail: dict[str, Any] = {"seed": seed} | ({"by": self.by} if self.by else {})
            given = {values[reward] for scores in of_arm.values() for values in scores.values() if reward in values}
            if given <= {0.0, 1.0}:
                detail["unit"] = "share"
            for group, ids in self._groups(samples).items():
                scores: dict[str, ArmScores] = {}
                for arm, rows in samples.items():
                    chosen = [s for s in rows if s.prompt_id in ids and reward in of_arm[arm].get(s.id, {})]
                    values = [of_arm[arm][s.id][reward] for s in chosen]
                    scores[arm] = ArmScores(values, [s.prompt_id for s in chosen])
                row = partial(Measure, name=reward, group=group, higher_is_better=part.higher_is_better, detail=detail)
                yield from (row(**numbers) for numbers in measure_scores(scores, control, seed))

    def _sets(self, samples: dict[str, list[Sample]], control: str, work: Work) -> Iterator[Measure]:
        if self.real is None:
            return
        for metric in self.metrics:
            encoder, seed = metric.encoder, work.seed
            real, records = features_of_records(encoder, self.real, work)
            made = {arm: features_of_samples(encoder, rows, arm, work) for arm, rows in samples.items()}
            for group, ids in self._groups(samples).items():
                subjects = {s.subject for rows in samples.values() for s in rows if s.prompt_id in ids}
                alike = [i for i, r in enumerate(records) if r.subject in subjects] or list(range(len(records)))
                features = {}
                for arm, rows in samples.items():
                    at = [i for i, s in enumerate(rows) if s.prompt_id in ids]
                    features[arm] = ArmFeatures(made[arm][at], [rows[i].prompt_id for i in at])
                detail = {
                    **({"by": self.by} if self.by else {}),
                    "seed": seed,
                    "extractor": f"{encoder.part_name} ({getattr(encoder, 'model', type(encoder).__name__)})",
                    "resize": encoder.preprocessing(),
                    "format": "PNG for generated images, real images as they are on disk",
                    "real": f"{self.real.part_name}, {len(alike)} images",
                }
                row = partial(Measure, name=metric.part_name, group=group, detail=detail)
                for numbers in measure_set(metric, features, real[alike], control, seed):
                    yield row(higher_is_better=metric.higher_is_better, **numbers)
