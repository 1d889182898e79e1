"""The step `evaluate`: what the arms are worth, beside one another, with intervals."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from annotated_types import Ge

from realism.base.errors import RealismError, listed, nearest
from realism.base.tables import read, write_part
from realism.data.rows import Measure, Sample
from realism.data.state import State
from realism.measuring.groups import ALL, group_of, keys_of
from realism.measuring.measuring import Group, of_diversity, of_scores, of_selections, of_sets
from realism.measuring.scores import known_rewards
from realism.parts import Images, Prompts, Retriever, Reward, SetMetric
from realism.parts.step import Step, arms, arms_missing, called_twice, chosen
from realism.run.work import Work
from realism.steps.benchmarks import misfit, steps_of


@dataclass
class Evaluate(Step):
    """Means of all scores, and distances to real images, of every arm and group, each beside the control arm.

    Metrics are given for real images too, in the line "(real images)": as many as the arms have, or half of all,
    against the rest. Intervals are at 95 %, by bootstrap over prompts; see `realism.measuring.evaluation`.
    """

    metrics: list[SetMetric] = field(default_factory=list)
    """Metrics of the set of an arm's images against the real ones."""
    real: Images | None = None
    """The real images; of them, a group is held against those whose subjects it has."""
    diversity: Retriever | None = None
    """The encoder in which to measure how unlike one another the pictures of one prompt are."""
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
    rewards: list[Reward] = field(default_factory=list)
    """What judges the pictures of benchmarks; the rewards that scored before, if none is named."""
    per_prompt: Annotated[int, Ge(1)] | None = None
    """How many pictures of each prompt of a benchmark; 4, if it is left out."""

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
        if not (self.metrics or self.diversity or known_rewards(there)):
            return ["there is nothing to evaluate: put a step 'score' before this, or name 'metrics' or 'diversity'"]
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
            *of_scores(state, samples, groups, control, work),
            *(of_diversity(self.diversity, samples, groups, control, work) if self.diversity else ()),
            *(of_sets(self.metrics, self.real, samples, groups, control, work) if self.real else ()),
            *of_selections(state, work),
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
