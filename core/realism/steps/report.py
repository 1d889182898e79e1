"""The step `report`: a page that shows the run."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Le

from realism.base.tables import count_rows
from realism.data.artifacts import (
    Artifact,
    Exhibits,
    Maps,
    Measures,
    Points,
    PromptTable,
    References,
    Samples,
)
from realism.data.rows import Measure, PromptRow, Reference
from realism.measuring.doubts import doubts
from realism.measuring.groups import Shares, group_of
from realism.measuring.scores import Scored, scored
from realism.parts.step import Artifacts, Step, arms
from realism.parts.work import Work
from realism.recipe.reader import written
from realism.report.view import ExhibitsView, PictureView, PromptView, ReportView, StepView
from realism.runs.notes import notes_of
from realism.runs.work import read_timing, skipped_rows

SKIPPED_SHOWN = 50
EXHIBITS_SHOWN = 12
PICTURES_SHOWN = 8
"""Pictures of one prompt in one arm."""


@dataclass
class WriteReport(Step):
    """Write report.html into the run's folder: one file with the pictures side by side, the measures and the recipe."""

    prompts: Annotated[int, Ge(0), Le(500)] = 24
    """How many prompts to show with their pictures, equally many of each group. At most 500: the page is one file."""
    by: str = ""
    """The key of the prompts' metadata, or `subject`, to group by; by default the first that `evaluate` grouped by."""

    scope = "run"

    def title(self) -> str:
        return "report"

    def reads(self, available: Artifacts) -> list[Artifact]:
        return list(available)

    def writes(self, available: Artifacts) -> list[Artifact]:
        return []

    def run(self, work: Work) -> None:
        from realism.report.build import build
        from realism.report.measures import headline

        view = self.view(work)
        build(view, work.root / "report.html")
        for finding in headline(view).findings:
            work.say(finding.said)

    def view(self, work: Work, among: Container[str] | None = None) -> ReportView:
        """What the page shows, gathered from the run. among: ids of the prompts that may be shown; all, if None."""
        run, state = work.run, work.state
        measures = tuple(_measures(work))
        by = self.by or next((str(m.detail["by"]) for m in measures if m.detail.get("by")), "")
        steps = tuple(_steps(run.folder, {r.folder: r.title for r in run.steps}))
        prompts = next(reversed(PromptTable.among(state)), None)
        rows = (row for row in work.read(prompts) if among is None or row.id in among) if prompts else iter(())
        shown = _spread(rows, by, self.prompts)
        views = tuple(_prompt_views(shown, by, work))
        drew = {picture.arm for one in views for picture in one.pictures}  # others drew earlier prompts
        return ReportView(
            name=run.name,
            fingerprint=run.fingerprint,
            recipe=written(dict(run.data)),
            description=run.description,
            arms=tuple(arm for arm in arms(state) if arm in drew or not drew),
            prompts=views,
            prompt_count=count_rows(work.path(prompts)) if prompts else 0,
            picture_count=sum(count_rows(work.path(samples)) for samples in Samples.among(state)),
            measures=measures,
            steps=steps,
            skipped=tuple(
                itertools.islice((row for s in steps for row in skipped_rows(run.folder / s.folder)), SKIPPED_SHOWN)
            ),
            skipped_count=sum(step.skipped for step in steps),
            versions=run.versions(),
            control=next((m.control for m in measures if m.control), ""),
            seeds=tuple(next((m.detail["seeds"] for m in measures if "seeds" in m.detail), run.seeds[:1])),
            projections=tuple((points.name, tuple(work.read(points))) for points in Points.among(state)),
            exhibits=tuple(_exhibits(work)),
            error=run.error,
            alerts=tuple(("evaluate", doubt) for doubt in doubts(measures)),
            notes=tuple((s.title, text) for s in steps for text in notes_of(run.folder / s.folder)),
        )


def _measures(work: Work) -> Iterator[Measure]:
    """Those of all `evaluate` steps; where there are several, each measure says of which it is."""
    every = Measures.among(work.state)
    for one in every:
        for row in work.read(one):
            named = one.name and len(every) > 1
            yield replace(row, name=f"{row.name} ({one.name})") if named else row


def _steps(folder: Path, titles: Mapping[str, str]) -> Iterator[StepView]:
    for name, title in titles.items():
        seconds, items, unit = read_timing(folder / name)
        yield StepView(
            title=title,
            folder=name,
            seconds=seconds,
            items=items,
            unit=unit,
            skipped=sum(1 for _ in skipped_rows(folder / name)),
        )


def _exhibits(work: Work) -> Iterator[ExhibitsView]:
    for one in Exhibits.among(work.state):
        rows = tuple(itertools.islice(work.read(one), EXHIBITS_SHOWN))
        placed = tuple(replace(row, images=[str(work.root / path) for path in row.images]) for row in rows)
        yield ExhibitsView(one.heading, placed, count_rows(work.path(one)))


def _spread(rows: Iterator[PromptRow], by: str, count: int) -> list[PromptRow]:
    """So many prompts, equally many of each group while there are, drawn by a hash of their ids, in their order."""
    drawn = Shares[tuple[int, PromptRow]](count)
    for number, row in enumerate(rows):
        drawn.add(group_of(row, by), row.id, (number, row))
    return [row for _, row in sorted((one for some in drawn.chosen().values() for one in some), key=lambda o: o[0])]


def _prompt_views(rows: list[PromptRow], by: str, work: Work) -> Iterator[PromptView]:
    pictures: dict[str, list[PictureView]] = {row.id: [] for row in rows}
    made: dict[str, int] = dict.fromkeys(pictures, 0)
    references = _references(work, set(pictures))
    for arm in arms(work.state) if rows else ():
        shown: list[Scored] = []
        before = dict(made)
        for sample, scores in scored(work.state, arm):
            if sample.prompt_id in pictures:
                made[sample.prompt_id] += 1
                if made[sample.prompt_id] - before[sample.prompt_id] <= PICTURES_SHOWN:
                    shown.append((sample, scores))
        maps = _heatmaps(work, arm, {sample.id for sample, _ in shown})
        for sample, scores in shown:
            found = {r.path: r for r in references.get((sample.retrieved, sample.prompt_id), ())}
            given = tuple(found[p] for p in sample.references if p in found)
            values = {reward: score.value for reward, score in scores.items()}
            picture = PictureView(arm, sample.seed, work.root / sample.image, values, given, maps.get(sample.id, {}))
            pictures[sample.prompt_id].append(picture)
    for row in rows:
        yield PromptView(row.id, row.text, row.subject, group_of(row, by), tuple(pictures[row.id]), made[row.id])


def _heatmaps(work: Work, arm: str, ids: set[str]) -> dict[str, dict[str, Path]]:
    """The heatmaps of these samples of an arm, by sample and by name (`critic.dark`)."""
    found: dict[str, dict[str, Path]] = {}
    for maps in Maps.among(work.state, arm):
        for row in work.read(maps):
            if row.id in ids:
                found.setdefault(row.id, {})[f"{maps.reward}.{row.name}"] = work.root / row.image
    return found


def _references(work: Work, wanted: set[str]) -> dict[tuple[str, str], list[Reference]]:
    """What was found, by the name of the references and the prompt."""
    found: dict[tuple[str, str], list[Reference]] = {}
    for references in References.among(work.state):
        for row in work.read(references):
            if row.prompt_id in wanted:
                found.setdefault((references.name, row.prompt_id), []).append(row)
    return found
