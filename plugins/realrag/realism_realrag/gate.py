"""The step `gate`: use a reference only where one is needed and a good one was found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Le
from realism.base.errors import listed, nearest
from realism.base.tables import parts, read, read_part
from realism.data.condition import Condition
from realism.data.rows import Aside, Reference, Sample
from realism.data.state import State
from realism.measuring.scores import known_rewards, scores_of
from realism.parts.step import Step, arms, named, references_error
from realism.run.work import Work


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

    seeded = False

    def title(self) -> str:
        return f"gate {self.name}"

    def options_error(self) -> str | None:
        if self.where is None and self.similarity == -1:
            return "gate needs 'similarity', 'where' or both"
        return references_error(self.name)

    def missing(self, there: Collection[str]) -> list[str]:
        found = named(there, "references")
        if not found:
            return ["there are no references to choose from: put a step 'retrieve' before this"]
        wanted = []
        if self.references and self.references not in found:
            near = nearest(self.references, found)
            wanted.append(f"references: no references '{self.references}'{near}; there are: {listed(found)}")
        if self.where is not None:
            if self.arm and self.arm not in arms(there):
                near = nearest(self.arm, arms(there))
                wanted.append(f"arm: no arm '{self.arm}'{near}; arms here: {listed(arms(there))}")
            arm = self.arm or next(iter(arms(there)), "")
            scored = [s for s in there if s.startswith(f"scores:{arm}:")]
            if unknown := self.where.unknown(known_rewards(scored)):
                wanted.append(f"where: {unknown}; put a step 'score' after arm '{arm}' and before this")
        return wanted

    def _slot(self, there: Collection[str]) -> str:
        return f"references:{self.references or named(there, 'references')[-1]}"

    def reads(self, there: Collection[str]) -> list[str]:
        arm = self.arm or next(iter(arms(there)), "")
        judged = [s for s in there if s == f"samples:{arm}" or s.startswith(f"scores:{arm}:")]
        return [self._slot(there), *(judged if self.where else [])]

    def makes(self, there: Collection[str]) -> list[str]:
        return [f"references:{self.name}"]

    def run(self, state: State, work: Work) -> Mapping[str, Path]:
        needing = self._needing(state)

        def choose(_: int, rows: list[Reference]) -> tuple[Sequence[Reference], Sequence[Aside]]:
            return [
                row
                for row in rows
                if row.similarity >= self.similarity and (needing is None or row.prompt_id in needing)
            ], []

        shards = (read_part(path, Reference) for path in parts(state.path(self._slot(state))))
        table = work.map(shards, choose, Reference, "references", unit="references")
        before = {row.prompt_id for row in read(state.path(self._slot(state)), Reference)}
        after = {row.prompt_id for row in read(table, Reference)}
        work.run.view.say(f"  references for {len(after):,} of {len(before):,} prompts")
        return {f"references:{self.name}": table}

    def _needing(self, state: State) -> set[str] | None:
        """The ids of the prompts whose mean scores meet the condition; None for all."""
        if self.where is None:
            return None
        arm = self.arm or arms(state)[0]
        scores = scores_of(state, arm)
        given: dict[str, dict[str, list[float]]] = {}
        for sample in read(state.path(f"samples:{arm}"), Sample):
            for reward, value in scores.get(sample.id, {}).items():
                given.setdefault(sample.prompt_id, {}).setdefault(reward, []).append(value)
        means = {id: {r: sum(values) / len(values) for r, values in by.items()} for id, by in given.items()}
        return {id for id, row in means.items() if self.where(row)}
