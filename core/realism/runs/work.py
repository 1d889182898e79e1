"""The folder a step works in: shards, each written atomically, and what was skipped."""

from __future__ import annotations

import contextlib
import csv
import io
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from realism.base.errors import RealismError
from realism.base.files import read_json, write_json, write_text
from realism.base.tables import Row, chunks, shard_path, shard_paths, read_shard, write_shard
from realism.base.texts import printable
from realism.data.artifacts import Artifact
from realism.data.rows import Skipped
from realism.data.state import State
from realism.parts import Part
from realism.parts.embedder import Embedder
from realism.parts.work import RunInfo, Shard, StepRecord, Table
from realism.runs.progress import Bar

if TYPE_CHECKING:
    from PIL import Image

    from realism.data.types import Prompt

T = TypeVar("T")
TIMING = "timing.json"
GROUPS = 256
"""Groups in a shard."""
FEW = 10
"""So few items may always be skipped; beyond, the recipe's `limits.skipped` is the share that may."""


class Host(RunInfo, Protocol):
    """What a step's work asks of the run it belongs to."""

    @property
    def skipped_limit(self) -> float:
        """The share of items that may be skipped."""

    def say(self, text: str) -> None:
        """Print a line."""

    def screen(
        self, step: str, images: Callable[[], Sequence[Image.Image]], prompts: Sequence[Prompt]
    ) -> list[str | None]:
        """For each of the images just made a plugin's reason to skip it, or None."""

    def report_scores(self, step: str, arm: str, reward: str, given: Mapping[str, float]) -> None:
        """Pass the values of a reward to plugins."""


class PassiveHost:
    """A host without plugins that prints nothing, and logs warnings."""

    def say(self, text: str) -> None:
        """Print nothing."""

    def warn(self, text: str) -> None:
        """Log a warning."""
        logging.getLogger("realism").warning(text)

    def screen(
        self, step: str, images: Callable[[], Sequence[Image.Image]], prompts: Sequence[Prompt]
    ) -> list[str | None]:
        """No reason against any image."""
        return [None] * len(prompts)

    def report_scores(self, step: str, arm: str, reward: str, given: Mapping[str, float]) -> None:
        """Do nothing."""


@dataclass
class NoRun(PassiveHost):
    """Stands for a run that has done nothing, says nothing, and has no plugins."""

    folder: Path
    steps: list[StepRecord] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """What was warned of."""

    name = description = fingerprint = error = ""
    seeds: tuple[int, ...] = (0,)
    data: Mapping[str, Any] = field(default_factory=dict)
    skipped_limit = 0.1

    def versions(self) -> dict[str, str]:
        return {}

    def warn(self, text: str) -> None:
        self.warnings.append(text)


class StepWork:
    """What a step is given: see `realism.parts.work.Work`. Shards are done in this process."""

    def __init__(
        self,
        run: Host,
        state: State,
        title: str,
        folder: Path,
        bar: Bar,
        seed: int,
        embedder: Embedder,
        depends: Sequence[Part] = (),
    ):
        self._host, self._bar = run, bar
        self.run: RunInfo = run
        self.state, self.title, self.folder, self.seed, self.depends = state, title, folder, seed, depends
        self.root, self.embedder = run.folder, embedder
        self._began = time.monotonic()
        self._seconds, self._items, self._unit = read_timing(folder)

    def path(self, artifact: Artifact) -> Path:
        return self.state.path(artifact)

    def shard_paths(self, artifact: Artifact) -> list[Path]:
        return shard_paths(self.path(artifact))

    def read(self, artifact: Artifact) -> Iterator[Any]:
        for shard in self.shards(artifact):
            yield from shard

    def shards(self, artifact: Artifact) -> Iterator[list[Any]]:
        assert artifact.row is not None, f"{artifact} is no table"
        for path in self.shard_paths(artifact):
            yield read_shard(path, artifact.row)

    def write(self, target: Artifact | Table, rows: Sequence[Row], number: int = 0) -> None:
        assert target.row is not None, f"{target} is no table"
        write_shard(rows, target.row, self.folder / target.place, number)

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
        folder = self.folder / target.place
        folder.mkdir(parents=True, exist_ok=True)
        skipped_folder = self.folder / "skipped" / target.place
        self._bar.expect(total)
        seen = count = 0
        for number, shard in enumerate(shards):
            kept = all(shard_path(self.folder / table.place, number).exists() for table in (target, *also))
            if not kept:
                rows, skipped = call(number, shard)
                if then is not None:
                    rows, skipped = then(number, (rows, skipped))
                self.embedder.flush()
                # Skipped rows first: where a shard exists, its skipped rows do, too.
                shard_path(skipped_folder, number).unlink(missing_ok=True)  # of a try that was killed
                if skipped:
                    write_shard(skipped, Skipped, skipped_folder, number)
                self.write(target, rows, number)
            written = shard_path(skipped_folder, number)
            count += len(read_shard(written, Skipped)) if written.exists() else 0
            seen += len(shard)
            self._bar(len(shard), kept)
            if not kept:
                self.note_time(unit)
            self._check_limit(count, each * seen, each * total if total else None)
        if seen and count >= each * seen:
            raise RealismError(f"{self.title}: all {seen} items were skipped; {self._reasons()}")
        return folder

    def map_groups(
        self, artifact: Artifact, by: str, keep: Callable[[list[Any]], Sequence[Row]], unit: str = "groups"
    ) -> Path:
        groups = (list(group) for _, group in groupby(self.read(artifact), key=attrgetter(by)))
        return self.map(artifact, chunks(groups, GROUPS), partial(_kept, keep), unit=unit)

    def expect(self, total: int | None) -> None:
        self._bar.expect(total)

    def advance(self, items: int, kept: bool = False) -> None:
        self._bar(items, kept)

    def note(self, text: str) -> None:
        self._bar.note(text)

    def say(self, text: str) -> None:
        self._host.say(f"  {text}")

    def warn(self, text: str) -> None:
        self._host.warn(text)

    def screen(self, images: Callable[[], Sequence[Image.Image]], prompts: Sequence[Prompt]) -> list[str | None]:
        return self._host.screen(self.title, images, prompts)

    def report_scores(self, arm: str, reward: str, given: Mapping[str, float]) -> None:
        self._host.report_scores(self.title, arm, reward, given)

    def note_time(self, unit: str = "") -> None:
        """Write down how long the step has taken, over all processes that worked on it, and how much it has made."""
        self._unit = unit or self._unit
        seconds = round(self._seconds + time.monotonic() - self._began, 3)
        timing = {"seconds": seconds, "items": self._items + self._bar.made, "unit": self._unit}
        write_json(self.folder / TIMING, timing)

    def time_spent(self) -> str:
        """What this process has made, and in what time."""
        made = f"{self._bar.made:,} {self._unit}, " if self._bar.made else ""
        return f"{made}{time.monotonic() - self._began:.1f} s"

    def _check_limit(self, skipped: int, seen: int, total: int | None) -> None:
        limit = self._host.skipped_limit
        if skipped > max(FEW if limit else 0, limit * (total or seen)):
            raise RealismError(
                f"{self.title}: {skipped} of {seen} items were skipped, more than the share of {limit:g} that "
                f"limits.skipped allows; {self._reasons()}"
            )

    def _reasons(self) -> str:
        """Where the reasons for skipping are, and the first of them."""
        first = next(skipped_rows(self.folder), None)
        example = f", such as {printable(f'{first.id}: {first.reason}')}" if first else ""
        return f"the reasons are in {self.folder / 'skipped'}{example}"


def read_timing(folder: Path) -> tuple[float, int, str]:
    """How long a step has taken so far (seconds), how many items it has made, and what they are; nothing where the note
    of it is damaged, as it decides nothing."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        timing = read_json(folder / TIMING)
        return float(timing["seconds"]), int(timing["items"]), str(timing["unit"])
    return 0.0, 0, "items"


def _kept(keep: Callable[[list[Any]], Sequence[Row]], _: int, groups: list[list[Any]]) -> Shard:
    return [row for group in groups for row in keep(group)], []


def skipped_rows(folder: Path) -> Iterator[Skipped]:
    """All that a step has skipped, in order."""
    tables = sorted({p.parent for p in (folder / "skipped").rglob("shard-*.parquet")})
    return (row for table in tables for path in shard_paths(table) for row in read_shard(path, Skipped))


def write_skipped(steps: Iterable[Path], path: Path) -> None:
    """Write what the steps in these folders have skipped into one table of CSV."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "step", "reason"])
    for folder in steps:
        writer.writerows([row.id, row.step, row.reason] for row in skipped_rows(folder))
    write_text(path, text.getvalue())
