"""The step `prompts`, the first of every recipe with the key `prompts`: write them down."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from realism.base.errors import RealismError, shown
from realism.base.tables import chunks
from realism.data import artifacts
from realism.data.artifacts import Artifact
from realism.data.rows import Aside, PromptRow
from realism.data.types import Prompt
from realism.parts import Prompts
from realism.parts.returned import a_kind, hold
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

    def reads(self, there: Artifacts) -> list[Artifact]:
        return []

    def writes(self, there: Artifacts) -> list[Artifact]:
        return [artifacts.Prompts(self.name)]

    def run(self, work: Work) -> None:
        found = self.source.prompts()
        hold(self.source, None if isinstance(found, Iterable) else f"prompts gave {a_kind(found)}, not prompts")
        shards = chunks(_once(found), SHARD)
        table = work.map(artifacts.Prompts(self.name), shards, _written, unit="prompts")
        if not any(table.iterdir()):
            raise RealismError(f"prompts: the source '{self.source.part_name}' holds no prompt; give it at least one")


def _wrong(prompt: Any) -> str | None:
    """One sentence if a source's prompt is none that can be written down, else None."""
    if not isinstance(prompt, Prompt):
        return f"the source gives a {type(prompt).__name__}, not a Prompt"
    try:
        for name in ("id", "text", "subject", "rewritten"):
            value = getattr(prompt, name)
            if not isinstance(value, str):
                return f"the {name} of prompt {shown(prompt.id)} is {shown(value)}, not a text"
            value.encode()
        json.dumps(dict(prompt.metadata), sort_keys=True)
    except (TypeError, ValueError) as error:  # ValueError: half a sign of UTF-16, or an endless mapping
        return f"prompt {shown(prompt.id)} cannot be written down: {error}"
    return None


def _written(_: int, prompts: list[PromptRow]) -> tuple[list[PromptRow], list[Aside]]:
    return prompts, []


def _once(prompts: Iterable[Prompt]) -> Iterator[PromptRow]:
    seen: set[str] = set()
    for prompt in prompts:
        if wrong := _wrong(prompt):
            raise RealismError(f"prompts: {wrong}")
        if prompt.id in seen:
            raise RealismError(f"prompts: the id '{prompt.id}' stands twice; each prompt needs an id of its own")
        seen.add(prompt.id)
        yield PromptRow(prompt.id, prompt.text, prompt.subject, dict(prompt.metadata), prompt.rewritten)
