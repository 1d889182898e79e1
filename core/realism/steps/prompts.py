"""The step `prompts`, the first of every recipe with the key `prompts`: write them down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from realism.base.errors import RealismError
from realism.base.tables import chunks
from realism.data import artifacts
from realism.data.artifacts import Artifact
from realism.data.rows import PromptRow, Skipped
from realism.data.types import Prompt
from realism.data.writable import prompt_problem
from realism.parts import Prompts
from realism.parts.returned import require, value_type
from realism.parts.step import Artifacts, Step, name_error
from realism.parts.work import Work

SHARD = 256


@dataclass
class ReadPrompts(Step):
    """Read prompts once, so that the steps after this all see the same ones, in place of any before of that name.

    What the key `prompts` of a recipe names is read so before all steps.
    """

    source: Prompts
    """Where the prompts come from."""
    name: str = ""
    """What to call them, for a `generate` that names them; by default they are the prompts of the steps that follow."""

    scope = "recipe"

    def title(self) -> str:
        return f"prompts {self.name}".strip()

    def options_error(self) -> str | None:
        return name_error(self.name) if self.name else None

    def reads(self, available: Artifacts) -> list[Artifact]:
        return []

    def writes(self, available: Artifacts) -> list[Artifact]:
        return [artifacts.PromptTable(self.name)]

    def run(self, work: Work) -> None:
        found = self.source.prompts()
        require(self.source, None if isinstance(found, Iterable) else f"prompts gave {value_type(found)}, not prompts")
        shards = chunks(_once(found), SHARD)
        table = work.map(artifacts.PromptTable(self.name), shards, _written, unit="prompts")
        if not any(table.iterdir()):
            raise RealismError(f"prompts: the source '{self.source.part_name}' holds no prompt; give it at least one")


def _written(_: int, prompts: list[PromptRow]) -> tuple[list[PromptRow], list[Skipped]]:
    return prompts, []


def _once(prompts: Iterable[Prompt]) -> Iterator[PromptRow]:
    seen: set[str] = set()
    for prompt in prompts:
        if wrong := prompt_problem(prompt):
            raise RealismError(f"prompts: {wrong}")
        if prompt.id in seen:
            raise RealismError(f"prompts: the id '{prompt.id}' stands twice; each prompt needs an id of its own")
        seen.add(prompt.id)
        yield PromptRow(prompt.id, prompt.text, prompt.subject, dict(prompt.metadata), prompt.rewritten)
