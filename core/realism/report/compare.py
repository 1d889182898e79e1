"""Several runs side by side: a command gathers them as plain data from their folders, and this makes the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from realism.data.rows import Measure
from realism.report.view import PromptView


@dataclass(frozen=True)
class ComparedRun:
    """One of the runs that are compared. Two may have one name, so each is known by its place in the view."""

    name: str
    """The recipe's name."""
    folder: str
    """Where it lies, as the user named it."""
    state: str
    """In a word or two: done, under way, stopped."""
    error: str = ""
    """The sentence that stopped it."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """The recipe as it ran, nested as in its YAML; of it, the page shows what is not the same in all runs."""
    measures: tuple[Measure, ...] = ()
    """Those of all its seeds, as its own report shows them."""
    prompts: tuple[PromptView, ...] = ()
    """Some of its prompts with their pictures; those of one id and text in several runs stand side by side."""
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class CompareView:
    """All that one comparison shows: two runs or more, in the order they were named."""

    runs: tuple[ComparedRun, ...]


def build_comparison(view: CompareView, path: Path) -> Path:
    """Write the comparison to `path`, whole or not at all, and return it."""
    raise NotImplementedError
