"""The step `gate`: use a reference only where one is needed and a good one was found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from annotated_types import Ge, Le
from realism.base.tables import read, read_shard
from realism.data.artifacts import Artifact, References, ScoreTable
from realism.data.condition import Condition
from realism.data.rows import Reference
from realism.measuring.scores import scored
from realism.parts.step import Artifacts, Step, first_arm, references_error
from realism.parts.work import Shard, Work


@dataclass
class Gate(Step):
    """Keep of the references found before those that are alike enough, for the prompts that need one.

    A prompt left without references is drawn from its text alone by the steps that follow.
    """

    similarity: Annotated[float, Ge(-1), Le(1)] = -1.0
    """The least cosine of a reference with its prompt."""
    where: Condition | None = None
    """Which prompts need references, by the mean scores of their pictures in `arm`, such as faithful < 0.5."""
    arm: str = ""
    """The pictures drawn without references that `where` looks at; the first arm, if none is named."""
    references: str = ""
    """The name of the references; by default those found last."""
    name: str = "gated"
    """What to call those that are kept."""

    scope = "recipe"

    def title(self) -> str:
        return f"gate {self.name}"

    def options_error(self) -> str | None:
        if self.where is None and self.similarity == -1:
            return "gate needs 'similarity', 'where' or both"
        return references_error(self.name)

    def _references(self, available: Artifacts) -> References:
        found = References.among(available)
        return References(self.references) if self.references or not found else found[-1]

    def reads(self, available: Artifacts) -> list[Artifact]:
        samples = first_arm(available, self.arm)
        scores = [ScoreTable(samples.arm, name) for name in sorted(self.where.names)] if self.where else []
        return [self._references(available), *([samples, *scores] if self.where else [])]

    def writes(self, available: Artifacts) -> list[Artifact]:
        return [References(self.name)]

    def run(self, work: Work) -> None:
        source, made = self._references(work.state), References(self.name)
        choose = partial(self._choose, self._needing(work))
        shards = (read_shard(path, Reference) for path in work.shard_paths(source))
        table = work.map(made, shards, choose, unit="references")
        before = {row.prompt_id for row in work.read(source)}
        after = {row.prompt_id for row in read(table, Reference)}
        work.say(f"references for {len(after):,} of {len(before):,} prompts")

    def _choose(self, needing: set[str] | None, _: int, rows: list[Reference]) -> Shard:
        near = [row for row in rows if row.similarity >= self.similarity]
        return [row for row in near if needing is None or row.prompt_id in needing], []

    def _needing(self, work: Work) -> set[str] | None:
        """The ids of the prompts whose mean scores meet the condition; None for all."""
        if self.where is None:
            return None
        given: dict[str, dict[str, list[float]]] = {}
        for sample, scores in scored(work.state, first_arm(work.state, self.arm).arm):
            for reward, score in scores.items():
                given.setdefault(sample.prompt_id, {}).setdefault(reward, []).append(score.value)
        means = {id: {r: sum(values) / len(values) for r, values in by.items()} for id, by in given.items()}
        return {id for id, row in means.items() if self.where(row)}
