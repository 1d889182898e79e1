"""What a step is given to work with, and what a plugin is told of a run: protocols, so that neither needs a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from realism.base.tables import Row
from realism.data.artifacts import Artifact
from realism.data.rows import Skipped
from realism.data.state import State

if TYPE_CHECKING:
    from PIL import Image

    from realism.data.types import Prompt
    from realism.parts.base import Part
    from realism.parts.embedder import Embedder

T = TypeVar("T")
Shard = tuple[Sequence[Row], Sequence[Skipped]]
"""What became of a shard: rows, and what was skipped."""


@dataclass(frozen=True)
class Table:
    """A table of a step's own, which no other step reads: its rows, and its place below the step's folder."""

    row: type[Row]
    place: str


@dataclass(frozen=True)
class StepRecord:
    """A step as it was done: its title, where it worked (relative to the run), whether it was kept, for which seed."""

    title: str
    folder: str
    fingerprint: str
    kept: bool
    seed: int


class RunInfo(Protocol):
    """What steps and plugins may know of a run."""

    folder: Path
    """Where all of it lies."""
    steps: list[StepRecord]
    """The steps done so far."""
    error: str
    """The sentence that it failed with; "" if it has not."""

    @property
    def name(self) -> str:
        """The recipe's name."""

    @property
    def description(self) -> str:
        """What the recipe says it is for."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """The recipe's seeds."""

    @property
    def data(self) -> Mapping[str, Any]:
        """The recipe as it runs, with all that it extends."""

    @property
    def fingerprint(self) -> str:
        """32 hex digits that stand for that."""

    def versions(self) -> dict[str, str]:
        """The versions of libraries and plugins that it is made with."""

    def warn(self, text: str) -> None:
        """Say something that does not stop the run, on the console and in its log."""


class Work(Protocol):
    """What a step is given: what is there, a folder, and a way to map over shards that survives being killed."""

    run: RunInfo
    """The run it belongs to."""
    state: State
    """The artifacts that are there."""
    title: str
    """What the step is called."""
    folder: Path
    """Where the step writes; each artifact at its `place` in it."""
    root: Path
    """The run's folder, to which paths in tables are relative."""
    seed: int
    """The seed of what is random, in [0, 2^32): the recipe's, or one of its several."""
    depends: Sequence[Part]
    """What the step's `depends_on` has named."""
    embedder: Embedder
    """What the run remembers of images."""

    def path(self, artifact: Artifact) -> Path:
        """Where an artifact lies. Raises RealismError if it is not there."""

    def shard_paths(self, artifact: Artifact) -> list[Path]:
        """The shards of its table, in order."""

    def read(self, artifact: Artifact) -> Iterator[Any]:
        """All rows of its table, one shard in memory at a time."""

    def shards(self, artifact: Artifact) -> Iterator[list[Any]]:
        """The rows of its table, a list for each shard: what `map` takes to make a table shard by shard."""

    def write(self, target: Artifact | Table, rows: Sequence[Row], number: int = 0) -> None:
        """Write one shard of a table, whole or not at all."""

    def map(
        self,
        target: Artifact | Table,
        shards: Iterable[list[T]],
        call: Callable[[int, list[T]], Shard],
        *,
        total: int | None = None,
        unit: str = "items",
        each: int = 1,
        then: Callable[[int, Shard], Shard] | None = None,
        also: Sequence[Artifact | Table] = (),
    ) -> Path:
        """Make shard i of a table of list i; one that is there already is kept, and not made again.

        shards: the same lists at every call. call: a shard's number and items -> rows, and what it skipped; files
        that belong to the rows it writes itself, before it returns. It may be carried out in another process, so what
        it holds can be pickled. then: what is done with that, and the shard's number, here, before it is written
        (asking plugins). also: tables of which `call` or `then` writes the shard, too; where one of them lacks it, the
        shard is made again. total: how many items there are. each: how many rows an item may make, or lose. Returns the
        table's folder. Raises RealismError when more is skipped than the recipe allows.
        """

    def map_groups(
        self, artifact: Artifact, by: str, keep: Callable[[list[Any]], Sequence[Row]], unit: str = "groups"
    ) -> Path:
        """Keep of each group of an artifact's rows what `keep` returns, as the same artifact made anew. Rows that
        follow one another and have the same value in the column `by` are a group."""

    def expect(self, total: int | None) -> None:
        """Say how many items there will be, for the progress bar."""

    def advance(self, items: int, kept: bool = False) -> None:
        """Move the progress bar; kept items do not count for the pace."""

    def note(self, text: str) -> None:
        """Show a few words beside the progress bar, such as the newest loss, in place of those before."""

    def say(self, text: str) -> None:
        """Print a line below the step's own."""

    def warn(self, text: str) -> None:
        """Say something that does not stop the run, on the console and in its log."""

    def screen(self, images: Callable[[], Sequence[Image.Image]], prompts: Sequence[Prompt]) -> list[str | None]:
        """What plugins say of pictures just made: for each a reason to skip it, or None. images is only called if
        a plugin wants to see them."""

    def report_scores(self, arm: str, reward: str, given: Mapping[str, float]) -> None:
        """Tell plugins what a reward has given to samples of one arm, by sample id."""
