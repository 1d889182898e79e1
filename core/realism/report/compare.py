"""Several runs side by side: a command gathers them as plain data from their folders, and this makes the page.

Two runs are two samples: the page shows the intervals of both, and makes no claim that two runs differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from realism.data.rows import Measure
from realism.measuring.descriptions import DESCRIPTION, title_of
from realism.measuring.reliability import reliability_warnings
from realism.report.build import write_page
from realism.report.cells import Cell, cell, in_words, notes, ordered
from realism.report.format import NONE, Scale
from realism.report.measures import by_measure
from realism.report.thumbnails import LARGEST
from realism.report.view import PictureView, PromptView

DESCRIPTIVE = ("name", "description", "extends")
"""Keys of a recipe that set nothing."""
PROMPTS_SHOWN = 12


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


@dataclass(frozen=True)
class MeasureTable:
    """One measure: what it is, a line for each arm of each group, a cell for each run, and what else decides the
    numbers."""

    name: str
    title: str
    description: str
    better: str
    lines: tuple[tuple[str, str, tuple[Cell | None, ...]], ...]
    notes: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PromptSheet:
    """One prompt: a row for each arm, with the first picture that each run has of it."""

    prompt: PromptView
    rows: tuple[tuple[str, tuple[PictureView | None, ...]], ...]


def build_comparison(view: CompareView, path: Path) -> Path:
    """Write the comparison to `path`, whole or not at all, and return it."""
    sheets = sheets_of(view)
    return write_page(
        "compare.html.j2",
        path,
        view=view,
        labels=labels(view),
        settings=settings(view),
        tables=tables(view),
        sheets=sheets[:PROMPTS_SHOWN],
        sheet_count=len(sheets),
        alerts=[tuple(reliability_warnings(run.measures)) for run in view.runs],
        colours={},
        side=LARGEST,
    )


def labels(view: CompareView) -> list[str]:
    """What the page calls each run: its folder, without those above it where that is unique."""
    names = [Path(run.folder).name or run.folder for run in view.runs]
    return [name if names.count(name) == 1 else run.folder for name, run in zip(names, view.runs, strict=True)]


def settings(view: CompareView) -> list[tuple[str, list[str]]]:
    """The settings that are not the same in all runs: a dotted key, and the value in each run."""
    flat = [dict(_flat({k: v for k, v in run.recipe.items() if k not in DESCRIPTIVE})) for run in view.runs]
    keys = ordered([key for one in flat for key in one])
    lines = [(key, [one.get(key, NONE) for one in flat]) for key in keys]
    return [(key, values) for key, values in lines if len(set(values)) > 1]


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Each setting below a value, with its dotted key. Steps go by their verbs, so that one more moves no others."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, Sequence) and any(isinstance(one, Mapping) for one in value):
        seen: dict[str, int] = {}
        for one in value:
            verb = str(next(iter(one), "")) if isinstance(one, Mapping) else str(one)
            seen[verb] = seen.get(verb, 0) + 1
            inner = one[verb] if isinstance(one, Mapping) and len(one) == 1 else one if isinstance(one, Mapping) else {}
            yield from _flat(inner, f"{key}.{verb}" + (f" ({seen[verb]})" if seen[verb] > 1 else ""))
    else:
        yield key, in_words(value) or ("yes" if isinstance(value, Mapping) else "(nothing)")


def tables(view: CompareView) -> list[MeasureTable]:
    """One for each measure that a run has, in the order in which they are met."""
    of_runs = [by_measure(run.measures) for run in view.runs]
    return [_table([found.get(key, []) for found in of_runs], labels(view)) for key in ordered([*_keys(of_runs)])]


def _keys(of_runs: Sequence[Mapping[tuple[str, int], object]]) -> Iterator[tuple[str, int]]:
    return (key for found in of_runs for key in found)


def _table(of_runs: Sequence[Sequence[Measure]], names: Sequence[str]) -> MeasureTable:
    every = [row for rows in of_runs for row in rows]
    scales = [Scale.of(rows) for rows in of_runs]  # each run with the digits that its own intervals support
    at = [{(row.group, row.arm): row for row in rows} for rows in of_runs]
    groups = ordered([row.group for row in every])
    places = sorted(ordered([(row.group, row.arm) for row in every]), key=lambda place: groups.index(place[0]))
    lines = tuple(
        (group, arm, tuple(_bare(rows.get((group, arm)), scale) for rows, scale in zip(at, scales, strict=True)))
        for group, arm in places
    )
    better = "higher is better" if every[0].higher_is_better else "lower is better"
    descriptions = {str(row.detail.get(DESCRIPTION, "")) for row in every}
    description = descriptions.pop() if len(descriptions) == 1 else ""  # one name may be two measures
    title = title_of(every[0].name, description)
    return MeasureTable(every[0].name, title, description, better, lines, tuple(_notes(of_runs, names)))


def _bare(row: Measure | None, scale: Scale) -> Cell | None:
    """A cell without its difference to the control of its own run."""
    made = cell(row, scale)
    return replace(made, change=None) if made else None


def _notes(of_runs: Sequence[Sequence[Measure]], names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What the details say, once where the runs agree, else by run."""
    by_name = {name: dict(notes(rows)) for name, rows in zip(names, of_runs, strict=True) if rows}
    for key in ordered([key for one in by_name.values() for key in one]):
        texts = {name: one[key] for name, one in by_name.items() if key in one}
        by_run = "; ".join(f"{text} ({name})" for name, text in texts.items())
        yield key, by_run if len(set(texts.values())) > 1 else next(iter(texts.values()))


def sheets_of(view: CompareView) -> list[PromptSheet]:
    """The prompts by id and text, those that most runs have first."""
    keys = ordered([(prompt.id, prompt.text) for run in view.runs for prompt in run.prompts])
    at = [{(prompt.id, prompt.text): prompt for prompt in run.prompts} for run in view.runs]
    keys.sort(key=lambda key: -sum(key in prompts for prompts in at))
    return [_sheet([prompts.get(key) for prompts in at]) for key in keys]


def _sheet(prompts: Sequence[PromptView | None]) -> PromptSheet:
    firsts = [_firsts(prompt) for prompt in prompts]
    arms = ordered([arm for one in firsts for arm in one])
    rows = tuple((arm, tuple(one.get(arm) for one in firsts)) for arm in arms)
    return PromptSheet(next(prompt for prompt in prompts if prompt), rows)


def _firsts(prompt: PromptView | None) -> dict[str, PictureView]:
    """The first picture of each arm."""
    found: dict[str, PictureView] = {}
    for picture in prompt.pictures if prompt else ():
        found.setdefault(picture.arm, picture)
    return found
