"""The step `report`: a page that shows the run."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import yaml
from annotated_types import Ge

from realism.base.tables import count_rows, read
from realism.data.rows import Exhibit, Measure, Point, PromptRow, Reference, Sample
from realism.data.state import State
from realism.measuring.groups import group_of, shares
from realism.measuring.scores import scores_of
from realism.parts.step import Step, arms, named
from realism.report.view import ExhibitsView, Picture, PromptView, ReportView, StepView
from realism.run.work import Work, asides

ASIDES_SHOWN = 50
EXHIBITS_SHOWN = 12


@dataclass
class WriteReport(Step):
    """Write report.html into the run's folder: one file with the pictures side by side, the measures and the recipe."""

    prompts: Annotated[int, Ge(0)] = 24
    """How many prompts to show with their pictures, equally many of each group."""
    by: str = ""
    """The key of the prompts' metadata, or `subject`, to group by; by default the first that `evaluate` grouped by."""

    always = True

    def title(self) -> str:
        return "report"

    def reads(self, there: Collection[str]) -> list[str]:
        return list(there)

    def makes(self, there: Collection[str]) -> list[str]:
        return []

    def run(self, state: State, work: Work) -> Mapping[str, Path]:
        from realism.report.build import build
        from realism.report.measures import headline

        view = self.view(state, work)
        build(view, work.run.folder / "report.html")
        for f in headline(view).findings:
            group = f", {f.group}" if f.group else ""
            work.run.view.say(f"{f.measure}{group}: {f.before} -> {f.after} {f.interval} with {f.arm} (n = {f.n})")
        return {}

    def view(self, state: State, work: Work) -> ReportView:
        """What the page shows, gathered from the run."""
        run = work.run
        measures = tuple(read(state.path("measures"), Measure)) if "measures" in state else ()
        by = self.by or next((str(m.detail["by"]) for m in measures if m.detail.get("by")), "")
        steps = tuple(_steps(run.folder, {r.folder: r.title for r in run.steps}))
        set_aside = [row for step in steps for row in asides(run.folder / step.folder)]
        rows = list(read(state.path("prompts"), PromptRow)) if "prompts" in state else []
        shown = _spread(rows, by, self.prompts)
        views = tuple(_prompt_views(shown, by, state, run.folder))
        drew = {picture.arm for one in views for picture in one.pictures}  # others drew earlier prompts
        return ReportView(
            name=run.recipe.name,
            fingerprint=run.fingerprint,
            recipe=yaml.safe_dump(run.recipe.data, sort_keys=False),
            description=run.recipe.description,
            arms=tuple(arm for arm in arms(state) if arm in drew or not drew),
            prompts=views,
            prompt_count=len(rows),
            measures=measures,
            steps=steps,
            aside=tuple(set_aside[:ASIDES_SHOWN]),
            aside_count=len(set_aside),
            versions=run.versions(),
            control=next((m.control for m in measures if m.control), ""),
            seeds=tuple(next((m.detail["seeds"] for m in measures if "seeds" in m.detail), run.recipe.seeds[:1])),
            maps=tuple((name, tuple(read(state.path(f"points:{name}"), Point))) for name in named(state, "points")),
            exhibits=tuple(_exhibits(state, run.folder)),
        )


def _steps(folder: Path, titles: Mapping[str, str]) -> Iterator[StepView]:
    for name, title in titles.items():
        file = folder / name / "timing.json"
        timing: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        yield StepView(
            title=title,
            folder=name,
            seconds=float(timing.get("seconds", 0)),
            items=int(timing.get("items", 0)),
            unit=str(timing.get("unit", "items")),
            aside=len(asides(folder / name)),
        )


def _exhibits(state: State, folder: Path) -> Iterator[ExhibitsView]:
    for name in named(state, "exhibits"):
        table = state.path(f"exhibits:{name}")
        rows = tuple(itertools.islice(read(table, Exhibit), EXHIBITS_SHOWN))
        placed = tuple(replace(row, images=[str(folder / path) for path in row.images]) for row in rows)
        yield ExhibitsView(name, placed, count_rows(table))


def _spread(rows: list[PromptRow], by: str, count: int) -> list[PromptRow]:
    """So many prompts, equally many of each group while there are, drawn by a hash of their ids, in their order."""
    groups: dict[str, list[PromptRow]] = {}
    for row in rows:
        groups.setdefault(group_of(row, by), []).append(row)
    drawn = shares(groups, {group: [row.id for row in members] for group, members in groups.items()}, count)
    chosen = {row.id for members in drawn.values() for row in members}
    return [row for row in rows if row.id in chosen]


def _prompt_views(rows: list[PromptRow], by: str, state: State, folder: Path) -> Iterator[PromptView]:
    wanted = {row.id for row in rows}
    pictures: dict[str, list[Picture]] = {row.id: [] for row in rows}
    references = _references(state, wanted)
    for arm in arms(state):
        scores = scores_of(state, arm)
        for sample in read(state.path(f"samples:{arm}"), Sample):
            if sample.prompt_id in wanted:
                found = {r.path: r for r in references.get((sample.retrieved, sample.prompt_id), ())}
                given = tuple(found[p] for p in sample.references if p in found)
                picture = Picture(arm, sample.seed, folder / sample.image, scores.get(sample.id, {}), given)
                pictures[sample.prompt_id].append(picture)
    for row in rows:
        yield PromptView(row.id, row.text, row.subject, group_of(row, by), tuple(pictures[row.id]))


def _references(state: State, wanted: set[str]) -> dict[tuple[str, str], list[Reference]]:
    """What was found, by the name of the references and the prompt."""
    found: dict[tuple[str, str], list[Reference]] = {}
    for name in named(state, "references"):
        for row in read(state.path(f"references:{name}"), Reference):
            if row.prompt_id in wanted:
                found.setdefault((name, row.prompt_id), []).append(row)
    return found
