"""The step `retrieve`: find reference images for each prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le

from realism.base.tables import read_shard
from realism.data.artifacts import Artifact, ImageIndex, PromptTable, References
from realism.data.condition import Condition
from realism.data.rows import NOT_KNOWN, PromptRow, Reference
from realism.databases.database import Database
from realism.parts import Retriever
from realism.parts.step import Artifacts, Step, references_error
from realism.parts.work import Shard, Work

if TYPE_CHECKING:
    import numpy as np


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

    scope = "recipe"

    def title(self) -> str:
        return f"retrieve {self._name}"

    @property
    def _name(self) -> str:
        return self.name or self.retriever.part_name

    def options_error(self) -> str | None:
        return references_error(self.name) if self.name else None

    def reads(self, available: Artifacts) -> list[Artifact]:
        return [PromptTable(), ImageIndex(self.retriever.part_name)]

    def writes(self, available: Artifacts) -> list[Artifact]:
        return [References(self._name)]

    def run(self, work: Work) -> None:
        database = Database.of(work.state, self.retriever)
        allowed = database.allowed(self.where) if self.where else None
        chances = database.shares({prompt.subject for prompt in work.read(PromptTable())}, allowed)
        shards = (read_shard(path, PromptRow) for path in work.shard_paths(PromptTable()))
        work.map(References(self._name), shards, partial(self._find, database, allowed, chances), unit="prompts")

    def _find(
        self,
        database: Database,
        allowed: np.ndarray | None,
        chances: Mapping[str, float],
        _: int,
        prompts: list[PromptRow],
    ) -> Shard:
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
                chance=chances.get(prompt.subject, NOT_KNOWN),
            )
            for prompt, hits in zip(prompts, found, strict=True)
            for rank, hit in enumerate(hits)
        ], []
