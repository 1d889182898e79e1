"""A run read from its folder alone, wherever its recipe, its images and the plugins that made it are by now."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from realism.base.errors import RealismError
from realism.data.state import State
from realism.parts import Step
from realism.parts.embedder import Embedder
from realism.plugins.registry import Registry
from realism.recipe.parts import PartMaker
from realism.recipe.reader import read_yaml
from realism.recipe.source import Source
from realism.runs.manifest import outputs_of
from realism.runs.progress import Bar, View
from realism.runs.record import read_record
from realism.runs.seeds import pooled
from realism.runs.work import PassiveHost, StepWork


class StoredRun(PassiveHost):
    """A run that does no more steps: a `realism.parts.work.RunInfo`."""

    skipped_limit = 1.0

    def __init__(self, folder: Path, view: View):
        """Raises RealismError for what is not the folder of a run."""
        self.folder, self.view = folder, view
        self.record = read_record(folder)
        self.steps, self.seeds, self.name = list(self.record.steps), self.record.seeds, self.record.recipe
        self.fingerprint, self.error = self.record.fingerprint, self.record.error_sentence()
        self.data = _recipe(folder / "recipe.yaml")

    @property
    def description(self) -> str:
        return str(self.data.get("description") or "")

    def versions(self) -> dict[str, str]:
        return self.record.versions

    def say(self, text: str) -> None:
        self.view.say(text)

    def work(self, scratch: Path) -> StepWork:
        """All available artifacts, for a step that shows them. scratch: where measures of several seeds are written as
        one."""
        states: dict[int, State] = {}
        for step in self.steps:
            state = states.get(step.seed, State())
            states[step.seed] = state.after(outputs_of(self.folder / step.folder), step.fingerprint)
        embedder = Embedder(self.folder / "embeddings", self.folder)
        state = pooled(list(states.values()), scratch)
        return StepWork(self, state, "", self.folder, Bar(None, ""), self.seeds[0], embedder)


def write_report(folder: Path, registry: Registry, view: View) -> None:
    """Write report.html of what a run has done so far. Raises RealismError for what is not the folder of a run."""
    run = StoredRun(folder, view)
    report_step(run.data, registry).run(run.work(folder / "steps"))


def report_step(data: Mapping[str, Any], registry: Registry) -> Step:
    """The step `report` with the options that a recipe gives it, none of whose parts is made for it; with its defaults
    if it has none, or some that cannot be read."""
    kind = registry.get("report", "step").load()
    written = [options for verb, options in _steps(data.get("steps")) if verb == "report" and isinstance(options, dict)]
    step = PartMaker(Source({}), registry).make(kind, "report", written[-1], (), "report") if written else None
    return step if isinstance(step, Step) else kind()


def _recipe(path: Path) -> dict[str, Any]:
    """The recipe as it ran; nothing if that cannot be read."""
    try:
        return read_yaml(path, "line ").data
    except RealismError:
        return {}


def _steps(entries: Any) -> Iterator[tuple[str, Any]]:
    """The verbs of a recipe with their options, those below `repeat` too."""
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and "repeat" in entry:
            yield from _steps(entry.get("steps"))
        elif isinstance(entry, dict):
            yield from entry.items()
