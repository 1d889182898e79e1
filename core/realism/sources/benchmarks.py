"""Prompts of several benchmarks as one source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from realism.data.types import Prompt
from realism.parts import Prompts

KEY = "benchmark"
"""The key of the prompts' metadata that names the benchmark."""


@dataclass
class Benchmarks(Prompts):
    """The prompts of several benchmarks; ids begin with the benchmark, whose name is in the metadata."""

    sources: list[Prompts]
    """The benchmarks."""

    def inputs(self) -> list[Path]:
        return [path for source in self.sources for path in source.inputs()]

    def prompts(self) -> Iterator[Prompt]:
        for source in self.sources:
            for prompt in source.prompts():
                named = {**prompt.metadata, KEY: source.part_name}
                yield replace(prompt, id=f"{source.part_name}/{prompt.id}", metadata=named)
