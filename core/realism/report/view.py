"""What a report shows, as plain data: `gather` reads it from a run, `build` makes the page of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from realism.data.rows import Exhibit, Measure, Point, Reference, Skipped


@dataclass(frozen=True)
class Answer:
    """A question that was asked about a picture, what was answered, whether that is the expected answer, and the first
    reward that rests on it."""

    question: str
    answer: str
    expected: str
    right: bool
    reward: str = field(default="", compare=False)


@dataclass(frozen=True)
class PictureView:
    """One picture of one arm, with its scores by reward, the references it was given (best first), its heatmaps (the
    path of each by name), and the questions that were asked about it. A photograph has the seed 0."""

    arm: str
    seed: int
    path: Path
    scores: dict[str, float] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()
    maps: dict[str, Path] = field(default_factory=dict)
    answers: tuple[Answer, ...] = ()


@dataclass(frozen=True)
class PromptView:
    """One prompt and its pictures in every arm, those that are shown of `count`; group is the value it is evaluated
    under ("" if not grouped)."""

    id: str
    text: str
    subject: str
    group: str
    pictures: tuple[PictureView, ...]
    count: int = 0


@dataclass(frozen=True)
class WorstView:
    """The pictures of one arm with the worst scores by a reward, worst first, each with the text of its prompt."""

    arm: str
    reward: str
    pictures: tuple[tuple[str, PictureView], ...]


@dataclass(frozen=True)
class CurveView:
    """What one fit of a part logged under one name: (step, value) in order of steps, averaged over `each` neighbours
    where `count` were too many."""

    part: str
    fit: int
    seed: int
    name: str
    points: tuple[tuple[float, float], ...]
    count: int
    each: int = 1


@dataclass(frozen=True)
class SnapshotsView:
    """The pictures of one prompt and seed that a part drew during one fit: some of `count`, as (step, path)."""

    part: str
    fit: int
    prompt: str
    seed: int
    images: tuple[tuple[int, Path], ...]
    count: int


@dataclass(frozen=True)
class ExhibitsView:
    """Pictures that a step shows in a section called `name`: some of `count`; paths are absolute."""

    name: str
    exhibits: tuple[Exhibit, ...]
    count: int


@dataclass(frozen=True)
class StepView:
    """One step of the run: what it was called, how long it took in all, how many items it made, and of what."""

    title: str
    folder: str
    seconds: float
    items: int
    unit: str
    skipped: int = 0


@dataclass(frozen=True)
class ReportView:
    """All that one report shows. prompts is what is shown of `prompt_count`; arms are in the order they were made,
    the control first.

    With several seeds, measures are those of all, and pictures, projections and exhibits those of the first.
    """

    name: str
    fingerprint: str
    recipe: str
    description: str
    arms: tuple[str, ...]
    prompts: tuple[PromptView, ...]
    prompt_count: int
    measures: tuple[Measure, ...]
    steps: tuple[StepView, ...]
    skipped: tuple[Skipped, ...]
    skipped_count: int
    versions: dict[str, str]
    control: str = ""
    seeds: tuple[int, ...] = (0,)
    lower_is_better: frozenset[str] = frozenset()
    """The rewards of which less is better."""
    worst: tuple[WorstView, ...] = ()
    """An entry for each arm that has scores."""
    projections: tuple[tuple[str, tuple[Point, ...]], ...] = ()
    """The points of each encoder's projection."""
    exhibits: tuple[ExhibitsView, ...] = ()
    picture_count: int = 0
    """How many pictures all arms have, shown or not."""
    error: str = ""
    """The sentence that stopped the run, with the step it stopped in; "" for a run that was not stopped."""
    alerts: tuple[tuple[str, str], ...] = ()
    """What makes the numbers themselves unreliable: a step's title and a sentence each; shown first, and loud."""
    notes: tuple[tuple[str, str], ...] = ()
    """What was warned of while steps worked: a step's title and a sentence each."""
    curves: tuple[CurveView, ...] = ()
    """Those of all fits and seeds."""
    snapshots: tuple[SnapshotsView, ...] = ()
    log: tuple[str, ...] = ()
    """The last lines of the run's log."""
