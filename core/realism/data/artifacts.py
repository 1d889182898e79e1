"""Artifacts: typed keys of what steps hand to one another.

A step says which artifacts it reads and which it writes. Each knows the rows of its table, where it lies, and what it
derives from, so that a recipe is checked before anything runs.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

from realism.base.errors import listed, nearest
from realism.base.files import digest
from realism.base.tables import Row
from realism.data import rows
from realism.data.inventory import Inventory

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_ .-]{0,60}")
"""What results may be called, and file names that need no change."""

KINDS: dict[str, type[Artifact]] = {}
"""The classes of artifacts by `kind`, those of plugins too once their modules are imported."""


@dataclass(frozen=True)
class Artifact:
    """A key. Its fields are texts or numbers, the last of them its own name among those of its kind.

    A plugin's own artifact is a frozen dataclass that inherits from this and says what the class attributes ask for.
    """

    kind: ClassVar[str] = ""
    """What files of a run call it, unique: "samples"."""
    noun: ClassVar[str] = ""
    """What a sentence calls one of them: "arm"."""
    owner: ClassVar[str] = "arm"
    """What the fields before the last are names of."""
    row: ClassVar[type[Row] | None] = None
    """The rows of its table; None for a folder of another form."""
    last_counts: ClassVar[bool] = False
    """Whether the one that was made last, be it anew, is the last of its kind; else all keep the places they had."""
    advice: ClassVar[str] = ""
    """What to do where there is none: "put a step 'generate' before this"."""

    def __init_subclass__(cls) -> None:
        known = KINDS.setdefault(cls.kind, cls) if cls.kind else cls
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"two kinds of artifact are called '{cls.kind}': give {cls.__name__} a kind of its own")

    @functools.cached_property
    def names(self) -> tuple[Any, ...]:
        """The values of its fields."""
        return tuple(getattr(self, f.name) for f in fields(self))

    @property
    def name(self) -> str:
        """What tells it from others of its kind and owner; "" if nothing does."""
        return str(self.names[-1]) if self.names else ""

    @property
    def place(self) -> str:
        """Where it lies, below the folder of the step that writes it."""
        return "/".join([self.kind, *(_file_name(str(name)) for name in self.names if name != "")])

    def derives_from(self) -> tuple[Artifact, ...]:
        """What it is derived from: when one of these is made anew, it is invalid."""
        return ()

    def __str__(self) -> str:
        of = "".join(f" of {self.owner} '{name}'" for name in self.names[:-1])
        return f"{self.noun} '{self.name}'{of}" if self.name else self.noun

    def missing_message(self, available: Collection[Artifact]) -> str:
        """The sentence for its absence: those available, the nearest name, what to do."""
        others = [a.name for a in type(self).among(available, *self.names[:-1]) if type(a) is type(self)]
        near = nearest(self.name, others)
        here = f"; {self.noun}s here: {listed(others)}" if any(others) else ""
        return f"no {self}{here}{near}" + (f"; {self.advice}" if self.advice and not near else "")

    def as_json(self) -> dict[str, Any]:
        """The entry of files of a run."""
        return {"kind": self.kind, **asdict(self)}

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> Artifact | None:
        """The artifact that `as_json` wrote; None for a kind that no imported module has."""
        cls = KINDS.get(record.get("kind", ""))
        return None if cls is None else cls(**{f.name: record[f.name] for f in fields(cls)})

    @classmethod
    def among(cls, available: Collection[Artifact], *names: Any) -> list[Self]:
        """Those of this kind, in the order they were made; with names, those whose first fields are these."""
        inventory = available if isinstance(available, Inventory) else Inventory(available)
        return inventory.of_kind(cls, *names)


def _file_name(name: str) -> str:
    """The name as that of a file: itself if it can be one."""
    plain = re.sub(r"[^A-Za-z0-9_ .,()-]+", "-", name)
    return name if plain == name and name.strip(".") else f"{plain.strip('-.')}-{digest(name)[:8]}"


@dataclass(frozen=True)
class PromptTable(Artifact):
    """The prompts of the recipe, or those that a step has made under a name."""

    kind, noun, row = "prompts", "prompts", rows.PromptRow
    advice = "give the recipe the key 'prompts'"

    called: str = ""


@dataclass(frozen=True)
class ImageIndex(Artifact):
    """A database of images that was indexed with a retriever."""

    kind, noun = "index", "index"
    advice = "put a step 'index' with that retriever before this"

    retriever: str

    def derives_from(self) -> tuple[Artifact, ...]:
        return (Weights(self.retriever),)


@dataclass(frozen=True)
class References(Artifact):
    """For each of the recipe's prompts, the images that were found; the table has the shards of the prompts' table."""

    kind, noun, row, last_counts = "references", "reference", rows.Reference, True
    advice = "put a step 'retrieve' before this"

    called: str

    def derives_from(self) -> tuple[Artifact, ...]:
        return (PromptTable(),)


@dataclass(frozen=True)
class Samples(Artifact):
    """The pictures of an arm."""

    kind, noun, row = "samples", "arm", rows.Sample
    advice = "put a step 'generate' before this"

    arm: str


@dataclass(frozen=True)
class _OfReward(Artifact):
    """What a reward gave the samples of an arm."""

    advice = "put a step 'score' before this"

    arm: str
    reward: str

    def derives_from(self) -> tuple[Artifact, ...]:
        return (Samples(self.arm),)


@dataclass(frozen=True)
class ScoreTable(_OfReward):
    """What one value of a reward is for each sample of an arm.

    The table has the shards of the arm's samples: shard by shard both are of the same samples.
    """

    kind, noun, row = "scores", "score", rows.Score


@dataclass(frozen=True)
class Maps(_OfReward):
    """Heatmaps that a reward has given for the samples of an arm."""

    kind, noun, row = "maps", "map", rows.Heatmap


@dataclass(frozen=True)
class Selection(Artifact):
    """What a `select` made of the samples of an arm, prompt by prompt; the selections of an arm are counted from 1."""

    kind, noun, row = "selection", "selection", rows.PromptSelection
    advice = "put a step 'select' before this"

    arm: str
    number: int


@dataclass(frozen=True)
class Measures(Artifact):
    """What an `evaluate` measured."""

    kind, noun, row = "measures", "measure", rows.Measure
    advice = "put a step 'evaluate' before this"

    called: str = ""


@dataclass(frozen=True)
class Weights(Artifact):
    """The trained weights of a part."""

    kind, noun = "weights", "trained part"
    advice = "put a step 'train' before this"

    part: str


@dataclass(frozen=True)
class Curves(Artifact):
    """What a fit of a part logged, step by step; the fits of a part are counted from 1."""

    kind, noun, row, owner = "curves", "curve", rows.CurvePoint, "part"
    advice = "put a step 'train' before this"

    part: str
    fit: int


@dataclass(frozen=True)
class Snapshots(Artifact):
    """Pictures of fixed prompts that a generator drew while it was fitted; the fits of a part are counted from 1."""

    kind, noun, row, owner = "snapshots", "snapshot", rows.Snapshot, "part"
    advice = "put a step 'train' that draws 'snapshots' before this"

    part: str
    fit: int


@dataclass(frozen=True)
class Points(Artifact):
    """A projection of pictures onto a plane: what an encoder finds similar lies close together."""

    kind, noun, row = "points", "projection", rows.Point
    advice = "put a step 'project' before this"

    encoder: str


@dataclass(frozen=True)
class Exhibits(Artifact):
    """Pictures that the report shows side by side, under a heading."""

    kind, noun, row = "exhibits", "exhibit", rows.Exhibit

    heading: str
