"""What a report shows, gathered from a run or from its folder alone."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from realism.base.errors import printable
from realism.base.files import regular
from realism.base.tables import count_rows
from realism.data.artifacts import Exhibits, Maps, Measures, Points, PromptTable, References, Samples
from realism.data.rows import Measure, PromptRow, Reference, Sample, Score
from realism.measuring.groups import Shares, group_of
from realism.measuring.reliability import reliability_warnings
from realism.measuring.scores import Scored, rewards_of, scored
from realism.parts.step import arms
from realism.parts.work import Work
from realism.recipe.complete import COMPLETE
from realism.recipe.reader import MAX_CHARACTERS, written
from realism.report.training import curves_of, snapshots_of
from realism.report.view import (
    Answer,
    ExhibitsView,
    PictureView,
    PromptView,
    ReportView,
    StepView,
    WorstView,
)
from realism.runs.notes import notes_of
from realism.runs.work import read_timing, skipped_rows

PROMPTS_SHOWN = 24
SKIPPED_SHOWN = 50
EXHIBITS_SHOWN = 12
PICTURES_SHOWN = 8
"""Pictures of one prompt in one arm."""
WORST_SHOWN = 6
"""Pictures of one arm with the worst scores."""
ANSWERS_SHOWN = 30
"""Answered questions of one picture."""
LINES_SHOWN, LINE_SHOWN, LOG_BYTES = 60, 300, 2**16
"""Of the log: the last so many lines, so many characters of each, from so many bytes at most."""


def gather(work: Work, prompts: int = PROMPTS_SHOWN, by: str = "", among: Container[str] | None = None) -> ReportView:
    """What the report of a run shows.

    prompts: how many to show with their pictures, equally many of each group. by: the key of the prompts' metadata, or
    `subject`, to group by; by default the first that `evaluate` grouped by. among: ids of the prompts that may be
    shown; all, if None.
    """
    run, state = work.run, work.state
    measures = tuple(_measures(work))
    by = by or next((str(m.detail["by"]) for m in measures if m.detail.get("by")), "")
    steps = tuple(_steps(run.folder, {r.folder: r.title for r in run.steps}))
    source = next(reversed(PromptTable.among(state)), None)
    rows = (row for row in work.read(source) if among is None or row.id in among) if source else iter(())
    shown = _spread(rows, by, prompts)
    pictures = _Pictures(work, shown)
    views = tuple(pictures.of_prompts(by))
    control = next((m.control for m in measures if m.control), "")
    drawn = {picture.arm for one in views for picture in one.pictures}  # others drew earlier prompts
    return ReportView(
        name=run.name,
        fingerprint=run.fingerprint,
        recipe=_recipe(run.folder / COMPLETE) or written(dict(run.data)),
        description=run.description,
        arms=tuple(sorted((arm for arm in arms(state) if arm in drawn or not drawn), key=lambda arm: arm != control)),
        prompts=views,
        prompt_count=count_rows(work.path(source)) if source else 0,
        picture_count=sum(count_rows(work.path(samples)) for samples in Samples.among(state)),
        measures=measures,
        steps=steps,
        skipped=tuple(
            itertools.islice((row for s in steps for row in skipped_rows(run.folder / s.folder)), SKIPPED_SHOWN)
        ),
        skipped_count=sum(step.skipped for step in steps),
        versions=run.versions(),
        control=control,
        seeds=tuple(next((m.detail["seeds"] for m in measures if "seeds" in m.detail), run.seeds[:1])),
        lower_is_better=frozenset(pictures.lower_is_better),
        worst=tuple(sorted(pictures.worst(), key=lambda one: one.arm != control)),
        projections=tuple((points.name, tuple(work.read(points))) for points in Points.among(state)),
        exhibits=tuple(_exhibits(work)),
        curves=curves_of(work),
        snapshots=snapshots_of(work),
        error=run.error,
        alerts=tuple(("evaluate", text) for text in reliability_warnings(measures)),
        notes=tuple((s.title, text) for s in steps for text in notes_of(run.folder / s.folder)),
        log=tuple(_tail(run.folder / "log.txt")),
    )


def _measures(work: Work) -> Iterator[Measure]:
    """Those of all `evaluate` steps; where there are several, each measure carries the name of its step."""
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


def _recipe(path: Path) -> str:
    """The recipe with all its options, as the run wrote it; "" if it cannot be read."""
    try:
        file = regular(path)
        return file.read_text(encoding="utf-8", errors="replace") if file.stat().st_size < MAX_CHARACTERS else ""
    except OSError:
        return ""


def _tail(path: Path) -> list[str]:
    """The last lines of a log, those that are too long cut; none where it cannot be read."""
    try:
        with regular(path).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - LOG_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    whole = lines[1:] if size > LOG_BYTES else lines
    return [printable(line[:LINE_SHOWN]) for line in whole[-LINES_SHOWN:]]


def _spread(rows: Iterator[PromptRow], by: str, count: int) -> list[PromptRow]:
    """So many prompts, equally many of each group while there are, drawn by a hash of their ids, in their order."""
    drawn = Shares[tuple[int, PromptRow]](count)
    for number, row in enumerate(rows):
        drawn.add(group_of(row, by), row.id, (number, row))
    return [row for _, row in sorted((one for some in drawn.chosen().values() for one in some), key=lambda o: o[0])]


class _Pictures:
    """The pictures of some prompts, and the worst of all; each table is read once."""

    def __init__(self, work: Work, shown: list[PromptRow]):
        self.lower_is_better: set[str] = set()
        self._work, self._rows = work, shown
        self._by_prompt: dict[str, list[PictureView]] = {row.id: [] for row in shown}
        self._counts = dict.fromkeys(self._by_prompt, 0)
        self._worst: list[WorstView] = []

    def of_prompts(self, by: str) -> Iterator[PromptView]:
        """The prompts with their pictures. by: what they are grouped by."""
        references = _references(self._work, set(self._by_prompt))
        for arm in arms(self._work.state) if self._rows else ():
            self._read(arm, references)
        for row in self._rows:
            pictures = tuple(self._by_prompt[row.id])
            yield PromptView(row.id, row.text, row.subject, group_of(row, by), pictures, self._counts[row.id])

    def worst(self) -> list[WorstView]:
        """The pictures with the worst scores by the first reward, an entry for each arm; only after `of_prompts`."""
        return self._worst

    def _read(self, arm: str, references: Mapping[tuple[str, str], list[Reference]]) -> None:
        work, shown = self._work, list[Scored]()
        reward = next(iter(rewards_of(work.state, arm)), "")
        worst = _Worst(WORST_SHOWN, reward)
        before = dict(self._counts)
        for sample, scores in scored(work.state, arm):
            self.lower_is_better |= {name for name, score in scores.items() if not score.higher_is_better}
            worst.add(sample, scores)
            if sample.prompt_id in self._by_prompt:
                self._counts[sample.prompt_id] += 1
                if self._counts[sample.prompt_id] - before[sample.prompt_id] <= PICTURES_SHOWN:
                    shown.append((sample, scores))
        chosen = worst.chosen()
        maps = _heatmaps(work, arm, {sample.id for sample, _ in shown})
        for sample, scores in shown:
            found = {r.path: r for r in references.get((sample.retrieved, sample.prompt_id), ())}
            given = tuple(found[p] for p in sample.references if p in found)
            view = replace(_picture(work, sample, scores), references=given, maps=maps.get(sample.id, {}))
            self._by_prompt[sample.prompt_id].append(view)
        if chosen:
            pictures = tuple((sample.text, _picture(work, sample, scores)) for sample, scores in chosen)
            self._worst.append(WorstView(arm, reward, pictures))


class _Worst:
    """Of many samples, those with the worst scores by a reward; no more are in memory than are kept."""

    def __init__(self, count: int, reward: str):
        self._count, self._reward, self._seen = count, reward, 0
        self._heap: list[tuple[float, int, Scored]] = []

    def add(self, sample: Sample, scores: dict[str, Score]) -> None:
        """One sample more."""
        if (score := scores.get(self._reward)) is None:
            return
        self._seen += 1
        entry = (-score.value if score.higher_is_better else score.value, -self._seen, (sample, scores))
        if len(self._heap) < self._count:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def chosen(self) -> list[Scored]:
        """Worst first; nothing where no more samples than are kept have a score, as all are shown then."""
        if self._seen <= self._count:
            return []
        return [item for *_, item in sorted(self._heap, reverse=True)]


def _picture(work: Work, sample: Sample, scores: Mapping[str, Score]) -> PictureView:
    values = {reward: score.value for reward, score in scores.items()}
    answers = tuple(dict.fromkeys(answer for name, score in scores.items() for answer in _answers(name, score)))[
        :ANSWERS_SHOWN
    ]
    return PictureView(sample.arm, sample.seed, work.root / sample.image, values, answers=answers)


def _answers(reward: str, score: Score) -> Iterator[Answer]:
    """The questions behind a score, as far as its detail has them (see `realism.Scores`)."""
    found: Any = score.detail.get("answers")
    for one in found if isinstance(found, list) else ():
        if isinstance(one, Mapping) and one.get("question"):
            question, answer, expected = (str(one.get(key) or "") for key in ("question", "answer", "expected"))
            yield Answer(question, answer, expected, bool(one.get("right")), reward)


def _heatmaps(work: Work, arm: str, ids: set[str]) -> dict[str, dict[str, Path]]:
    """The heatmaps of these samples of an arm, by sample and by name (`critic.dark`)."""
    found: dict[str, dict[str, Path]] = {}
    for maps in Maps.among(work.state, arm):
        for row in work.read(maps):
            if row.id in ids:
                found.setdefault(row.id, {})[f"{maps.reward}.{row.name}"] = work.root / row.image
    return found


def _references(work: Work, wanted: set[str]) -> dict[tuple[str, str], list[Reference]]:
    """What was retrieved, by the name of the references and the prompt."""
    found: dict[tuple[str, str], list[Reference]] = {}
    for references in References.among(work.state):
        for row in work.read(references):
            if row.prompt_id in wanted:
                found.setdefault((references.name, row.prompt_id), []).append(row)
    return found
