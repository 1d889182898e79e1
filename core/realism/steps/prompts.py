"""The step `prompts`, the first of every recipe with the key `prompts`: write them down."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from realism.base.errors import RealismError
from realism.base.tables import chunks
from realism.data.rows import PromptRow
from realism.data.state import State
from realism.data.types import Prompt
from realism.parts import Prompts
from realism.parts.step import Step
from realism.run.work import Work

SHARD = 256


@dataclass
class ReadPrompts(Step):
    """Read prompts once, so that the steps after this all see the same ones, in place of any before.

    What the key `prompts` of a recipe names is read so before all steps.
    """

    source: Prompts
    """Where the prompts come from."""

    seeded = False

    def title(self) -> str:
        return "prompts"

    def reads(self, there: Collection[str]) -> list[str]:
        return []

    def makes(self, there: Collection[str]) -> list[str]:
        return ["prompts"]

    def run(self, state: State, work: Work) -> Mapping[str, Path]:
        shards = chunks(_once(self.source.prompts()), SHARD)
        table = work.map(shards, lambda _, shard: (shard, []), PromptRow, "prompts", unit="prompts")
        if not any(table.iterdir()):
            raise RealismError(f"prompts: the source '{self.source.part_name}' holds no prompt; give it at least one")
        return {"prompts": table}


def _once(prompts: Iterator[Prompt]) -> Iterator[PromptRow]:
    seen: set[str] = set()
    for prompt in prompts:
        if prompt.id in seen:
            raise RealismError(f"prompts: the id '{prompt.id}' stands twice; each prompt needs an id of its own")
        seen.add(prompt.id)
        yield PromptRow(prompt.id, prompt.text, prompt.subject, dict(prompt.metadata))
