"""The step `evaluate`: what the arms are worth, beside one another, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, takewhile

from realism.data.artifacts import Artifact, Measures, Samples, ScoreTable, Selection
from realism.measuring.arms import gather
from realism.measuring.encoders import of_encoders, recognition_encoders
from realism.measuring.measures import constant_rewards, of_diversity, of_scores, of_selections, of_sets
from realism.measuring.reliability import reliability_warnings
from realism.measuring.retrieved import of_retrieved
from realism.measuring.scores import rewards_of
from realism.parts import Images, Retriever, Reward, SetMetric, parts_of
from realism.parts.step import Artifacts, Step, called_twice, name_error, samples_of
from realism.parts.work import Work


@dataclass
class Evaluate(Step):
    """Means of all scores, and distances to real images, of every arm and group, each beside the control arm.

    Where prompts and references have subjects, how often these agree is measured too, beside chance; and where real
    images have subjects, the encoders that rewards and metrics rest on are tested on them first. Metrics are given for
    real images too, in the line "(real images)": as many as the arms have, or half of all, against the rest. Intervals
    are at 95 %, by bootstrap over prompts; see `realism.measuring.evaluation`. A recipe may have several, with a name
    each; the report shows the measures of all.
    """

    metrics: list[SetMetric] = field(default_factory=list)
    """Metrics of the set of an arm's images against the real ones."""
    real: Images | None = None
    """The real images; of them, a group is compared with those whose subjects it has."""
    diversity: Retriever | None = None
    """The encoder in which to measure the diversity of the pictures of one prompt."""
    by: str | list[str] = field(default_factory=list)
    """A key of the prompts' metadata, `subject`, or a list of such: besides all prompts, each value of each key is
    measured by itself."""
    control: str = ""
    """The arm that the others are compared with; the first, if none is named."""
    arms: list[str] = field(default_factory=list)
    """Which arms to measure; all, if none is named."""
    name: str = ""
    """What to call these measures, where a recipe has several."""

    evaluates_against = ("real",)

    def depends_on(self, steps: Sequence[Step]) -> list[Reward]:
        """The rewards, which say what their scores are and which encoders they rest on."""
        return list({id(part): part for step in steps for part in parts_of(step) if isinstance(part, Reward)}.values())

    def title(self) -> str:
        return f"evaluate {self.name}".strip()

    def options_error(self) -> str | None:
        if self.metrics and self.real is None:
            return "metrics compare with real images: name them with 'real'"
        return called_twice(self.metrics, "metric") or (name_error(self.name) if self.name else None)

    def conflicts(self, available: Artifacts) -> list[str]:
        measured = samples_of(available, self.arms)
        if any(one not in available for one in measured):
            return []
        if self.control and Samples(self.control) in available and Samples(self.control) not in measured:
            return [f"control: arm '{self.control}' is none of the 'arms'; name it there too"]
        if self.metrics or self.diversity:
            return []
        if not any(isinstance(a, ScoreTable) for a in self.reads(available)):
            return ["there is nothing to evaluate: put a step 'score' before this, or name 'metrics' or 'diversity'"]
        unscored = [arm for arm in self.arms if not rewards_of(available, arm)]
        return [f"arms: no score of arm '{arm}'; put a step 'score' before this, or leave it out" for arm in unscored]

    def reads(self, available: Artifacts) -> list[Artifact]:
        samples = samples_of(available, self.arms)
        scores = [scores for one in samples for scores in ScoreTable.among(available, one.arm)]
        return [*samples, *([Samples(self.control)] if self.control else []), *scores, *self._unmeasured(available)]

    def _unmeasured(self, available: Artifacts) -> list[Selection]:
        """The selections that no other `evaluate` has measured."""
        measured = [one for one in Measures.among(available) if one != Measures(self.name)][-1:]
        unmeasured = takewhile(lambda one: one not in measured, reversed(list(available)))
        return [one for one in unmeasured if isinstance(one, Selection)][::-1]

    def writes(self, available: Artifacts) -> list[Artifact]:
        return [Measures(self.name)]

    def run(self, work: Work) -> None:
        names = [one.arm for one in samples_of(work.state, self.arms)]
        control, rewards = self.control or names[0], rewards_of(work.state, *names)
        gathered = gather(work.state, names, self._keys())
        parts = [part for part in work.depends if isinstance(part, Reward) and set(rewards) & set(part.meanings())]
        rows = [
            *of_scores(gathered, rewards, parts, control, work.seed),
            *of_retrieved(gathered, work.seed),
            *(of_diversity(self.diversity, gathered, control, work) if self.diversity else ()),
            *(of_sets(self.metrics, self.real, gathered, control, work) if self.real else ()),
            *(of_encoders(self._encoders(parts), self.real, gathered.subjects, work) if self.real else ()),
            *of_selections(self._unmeasured(work.state), work),
        ]
        for warning in [*reliability_warnings(rows), *constant_rewards(gathered, rewards)]:
            work.warn(f"{work.title}: {warning}")
        work.write(Measures(self.name), rows)

    def _encoders(self, rewards: Sequence[Reward]) -> list[Retriever]:
        """All that a measure rests on here and that can name what an image shows, each once."""
        own = [one.encoder for one in self.metrics if isinstance(one.encoder, Retriever)]
        own += [self.diversity] if self.diversity else []
        every = [*own, *chain.from_iterable(map(recognition_encoders, rewards))]
        return list({one.part_name: one for one in every}.values())

    def _keys(self) -> Sequence[str]:
        return [self.by] if isinstance(self.by, str) and self.by else list(self.by)
