"""The rows of a run's tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from realism.base.tables import Row

NOT_KNOWN = -1.0
"""A chance that is not known; not NaN, so that a row that was written and read again is equal to itself."""


@dataclass(frozen=True)
class PromptRow(Row):
    """A prompt of the run: the text as asked, and what a rewriter made of it, which is drawn instead ("" if none)."""

    id: str
    text: str
    subject: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    rewritten: str = ""


@dataclass(frozen=True)
class RecordRow(Row):
    """An image of a database, as it was when it was indexed."""

    id: str
    path: str
    subject: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reference(Row):
    """An image that was found for a prompt: rank from 0, cosine similarity in [-1, 1], and where it comes from. chance
    is the share, of all images that could be found, that show the prompt's subject, or NOT_KNOWN."""

    prompt_id: str
    rank: int
    id: str
    path: str
    similarity: float
    subject: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    chance: float = NOT_KNOWN


@dataclass(frozen=True)
class Sample(Row):
    """A picture that was made, and all that made it; or a real one, whose seed is 0 and generator "".

    text is the prompt as asked, drawn_from the text that the generator was given. image and mask are paths, absolute or
    relative to the run's folder. references are the paths of the images it was given, of which the artifact
    `References(retrieved)` tells more; reference_subjects are what they show, and chance is that of `Reference`, of the
    best. A picture that was made by changing another names that sample (`parent`, an id
    of the same arm or another) and what was changed (`mask`, white where; "" for all of it).
    """

    id: str
    prompt_id: str
    arm: str
    text: str
    subject: str
    seed: int
    image: str
    width: int
    height: int
    references: list[str] = field(default_factory=list)
    retrieved: str = ""
    generator: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    drawn_from: str = ""
    parent: str = ""
    mask: str = ""
    reference_subjects: list[str] = field(default_factory=list)
    chance: float = NOT_KNOWN


@dataclass(frozen=True)
class Score(Row):
    """What one reward says of one sample, and what stands behind it, such as the questions that were asked."""

    id: str
    reward: str
    value: float
    higher_is_better: bool = True
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Heatmap(Row):
    """A map that a reward has given for one sample: an 8-bit grey picture, 0 (black) to 1 (white), at a path relative
    to the run's folder."""

    id: str
    name: str
    image: str


@dataclass(frozen=True)
class PromptSelection(Row):
    """What was made of one prompt's samples: how many there were, how many were accepted, and the mean of each reward
    over all of them; lower_is_better names those of these rewards of which that is so."""

    prompt_id: str
    text: str
    samples: int
    accepted: int
    means: dict[str, Any] = field(default_factory=dict)
    lower_is_better: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Skipped(Row):
    """Something that could not be used, and why."""

    id: str
    step: str
    reason: str


@dataclass(frozen=True)
class Exhibit(Row):
    """Some pictures that a step shows in the report, side by side. images are paths, absolute or relative to the run's
    folder; each has a caption."""

    title: str
    text: str = ""
    images: list[str] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class CurvePoint(Row):
    """One value that a fit logged, after so many optimiser steps."""

    name: str
    step: int
    value: float


@dataclass(frozen=True)
class Snapshot(Row):
    """A picture of a fixed prompt and seed, drawn after so many optimiser steps of a fit. image is a path relative to
    the run's folder."""

    step: int
    prompt_id: str
    text: str
    seed: int
    image: str


@dataclass(frozen=True)
class Point(Row):
    """One picture in a map of many: where it lies (no unit), and its kind: an arm, "(retrieved NAME)" or "(real
    images)". group is "" where it belongs to all."""

    x: float
    y: float
    kind: str
    id: str
    subject: str = ""
    group: str = ""


@dataclass(frozen=True)
class Measure(Row):
    """One number of the evaluation, of one arm on one group of prompts.

    low and high are the 95 % interval (NaN where none can be given), n how many images (of `unit`) it rests on.
    The difference is to the control arm, paired by prompt, with its own interval; NaN for the control itself. detail
    says what else decides the number: extractor, resize, format, size of the real set.
    """

    name: str
    arm: str
    group: str
    value: float
    low: float
    high: float
    n: int
    higher_is_better: bool = True
    control: str = ""
    difference: float = float("nan")
    difference_low: float = float("nan")
    difference_high: float = float("nan")
    detail: dict[str, Any] = field(default_factory=dict)
