"""The step `retrieve`: find reference images for each prompt."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Le

from realism.base.tables import parts, read_part
from realism.data.condition import Condition
from realism.data.rows import Aside, PromptRow, Reference
from realism.data.state import State
from realism.databases.database import Database
from realism.parts import Retriever
from realism.parts.step import Step, index_missing, references_error
from realism.run.work import Work


@dataclass
class Retrieve(Step):
    """Find for each prompt the images of the database that are nearest to its text; later `generate` steps use them."""

    retriever: Retriever
    """What the database was indexed with."""
    k: Annotated[int, Ge(1), Le(100)] = 1
    """How many images for each prompt."""
    name: str = ""
    """What to call these references in later steps; the retriever's name, if none is given."""
    where: Condition | None = None
    """Which images may be found, such as licence == "CC0"; names are columns of the database."""

    seeded = False

    def title(self) -> str:
        return f"retrieve {self._name}"

    @property
    def _name(self) -> str:
        return self.name or self.retriever.part_name

    def options_error(self) -> str | None:
        return references_error(self.name) if self.name else None

    def missing(self, there: Collection[str]) -> list[str]:
        wanted = []
        if "prompts" not in there:
            wanted.append("retrieve needs prompts: give the recipe the key 'prompts'")
        return [*wanted, *index_missing(there, self.retriever)]

    def reads(self, there: Collection[str]) -> list[str]:
        return [s for s in there if s in ("prompts", f"index:{self.retriever.part_name}")]

    def makes(self, there: Collection[str]) -> list[str]:
        return [f"references:{self._name}"]

    def run(self, state: State, work: Work) -> Mapping[str, Path]:
        database = Database.of(state, self.retriever)
        allowed = database.allowed(self.where) if self.where else None

        def find(_: int, prompts: list[PromptRow]) -> tuple[Sequence[Reference], Sequence[Aside]]:
            found = database.search(self.retriever, [p.text for p in prompts], self.k, allowed)
            return [
                Reference(
                    prompt_id=prompt.id,
                    rank=rank,
                    id=hit.record.id,
                    path=str(hit.record.path),
                    similarity=hit.similarity,
                    subject=hit.record.subject,
                    metadata=dict(hit.record.metadata),
                )
                for prompt, hits in zip(prompts, found, strict=True)
                for rank, hit in enumerate(hits)
            ], []

        shards = (read_part(path, PromptRow) for path in parts(state.path("prompts")))
        return {f"references:{self._name}": work.map(shards, find, Reference, "references", unit="prompts")}
