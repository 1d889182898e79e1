"""The step `select`: keep the samples that are good enough."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from realism.errors import RealismError, listed, nearest
from realism.parts.step import Step, arms
from realism.recipe.condition import Condition
from realism.run.state import State
from realism.run.work import Work
from realism.scores import known_rewards, scores_of
from realism.tables import Aside, Sample, chunks, parts, read

SHARD = 256


@dataclass
class Select(Step):
    """Keep samples by their scores, in every arm: those that meet a condition, then the best of each prompt."""

    where: Condition | None = None
    """What a sample must meet, such as faithful >= 0.9; names are rewards that were scored before."""
    best: str = ""
    """Keep of each prompt only the sample that this reward puts first."""

    def title(self) -> str:
        return "select"

    def options_error(self) -> str | None:
        return None if self.where or self.best else "select needs 'where', 'best' or both"

    def missing(self, there: Collection[str]) -> list[str]:
        if not arms(there):
            return ["there are no samples to select from: put a step 'generate' before this"]
        known = known_rewards(there)
        wrong = self.where.unknown(known) if self.where else None
        sentences = [f"where: {wrong}" + ("" if known else "; put a step 'score' before this")] if wrong else []
        if self.best and self.best not in known:
            near = nearest(self.best, known)
            sentences.append(f"best: no reward '{self.best}' was scored; scored: {listed(known)}{near}")
        return sentences

    def reads(self, there: Collection[str]) -> list[str]:
        return [s for s in there if s.startswith(("samples:", "scores:"))]

    def makes(self, there: Collection[str]) -> list[str]:
        return [f"samples:{arm}" for arm in arms(there)]

    def run(self, state: State, work: Work) -> Mapping[str, Path]:
        slots = {}
        for arm in arms(state):
            kept = chunks(self._kept(state, arm, work), SHARD)
            table = work.map(kept, _as_they_are, Sample, f"samples/{arm}", unit="images")
            if not parts(table):
                raise RealismError(f"select: no sample of arm '{arm}' is good enough; loosen 'where' ({self.where})")
            slots[f"samples:{arm}"] = table
        return slots

    def _kept(self, state: State, arm: str, work: Work) -> Iterator[Sample]:
        scores = scores_of(state, arm)
        sign = -1.0 if self.best and work.run.higher_is_better(self.best) else 1.0
        samples = read(state.path(f"samples:{arm}"), Sample)
        for _, of_prompt in groupby(samples, key=lambda s: s.prompt_id):
            good = [s for s in of_prompt if self.where is None or self.where(scores.get(s.id, {}))]
            if self.best:
                rated = [s for s in good if self.best in scores.get(s.id, {})]
                good = sorted(rated, key=lambda s: sign * scores[s.id][self.best])[:1]
            yield from good


def _as_they_are(_: int, samples: list[Sample]) -> tuple[Sequence[Sample], Sequence[Aside]]:
    return samples, []
