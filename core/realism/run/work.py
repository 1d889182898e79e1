"""The folder a step works in: shards that are whole or not there, and what was set aside."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from realism.base.errors import RealismError
from realism.base.files import write_json
from realism.base.tables import Row, part_path, parts, read_part, write_part
from realism.data.rows import Aside
from realism.run.progress import Bar

if TYPE_CHECKING:
    from realism.run.run import Run

T = TypeVar("T")
FEW = 10
"""So few items may always be set aside; beyond, the recipe's `limits.aside` is the share that may."""


class Work:
    """What a step is given: its run, its folder, and a way to map over shards that survives being killed."""

    def __init__(self, run: Run, title: str, folder: Path, bar: Bar, seed: int):
        self.run, self.title, self.folder, self.bar, self.seed = run, title, folder, bar, seed
        self._began = time.monotonic()
        self._timing = folder / "timing.json"
        self._before: dict[str, Any] = {"seconds": 0.0, "items": 0, "unit": "items"}
        if self._timing.exists():
            self._before = json.loads(self._timing.read_text())

    def map(
        self,
        shards: Iterable[list[T]],
        call: Callable[[int, list[T]], tuple[Sequence[Row], Sequence[Aside]]],
        kind: type[Row],
        table: str,
        *,
        total: int | None = None,
        unit: str = "items",
        each: int = 1,
    ) -> Path:
        """Make part i of `table` of shard i; a part that is there already is kept, and not made again.

        shards: the same lists at every call. call: a shard's number and items -> rows of `kind`, and what it set
        aside; files that belong to the rows it writes itself, before it returns. each: how many rows an item may
        make, or lose. Returns the table's folder. Raises RealismError when more is set aside than the recipe allows.
        """
        folder = self.folder / table
        folder.mkdir(parents=True, exist_ok=True)
        aside_folder = self.folder / "aside" / table
        self.bar.expect(total)
        seen = set_aside = 0
        for number, shard in enumerate(shards):
            kept = part_path(folder, number).exists()
            if not kept:
                rows, aside = call(number, shard)
                # First what was set aside, so that a part that is there tells that its asides are, too.
                if aside:
                    write_part(aside, Aside, aside_folder, number)
                write_part(rows, kind, folder, number)
            there = part_path(aside_folder, number)
            set_aside += len(read_part(there, Aside)) if there.exists() else 0
            seen += len(shard)
            self.bar(len(shard), kept)
            if not kept:
                self.note_time(unit)
            self._hold_limit(set_aside, each * seen, each * total if total else None)
        if seen and set_aside >= each * seen:
            raise RealismError(f"{self.title}: all {seen} items were set aside; the reasons are in {aside_folder}")
        return folder

    def note_time(self, unit: str = "") -> None:
        """Write down how long the step has taken, over all processes that worked on it, and how much it has made."""
        timing = {
            "seconds": round(self._before["seconds"] + time.monotonic() - self._began, 3),
            "items": self._before["items"] + self.bar.made,
            "unit": unit or self._before["unit"],
        }
        self._before["unit"] = timing["unit"]
        write_json(self._timing, timing)

    def _hold_limit(self, aside: int, seen: int, total: int | None) -> None:
        limit = self.run.recipe.aside_limit
        if aside > max(FEW if limit else 0, limit * (total or seen)):
            raise RealismError(
                f"{self.title}: {aside} of {seen} items were set aside, more than the share of {limit:g} that "
                f"limits.aside allows; the reasons are in {self.folder / 'aside'}"
            )


def asides(folder: Path) -> list[Aside]:
    """All that a step has set aside, in order."""
    tables = sorted({p.parent for p in (folder / "aside").rglob("part-*.parquet")})
    return [row for table in tables for path in parts(table) for row in read_part(path, Aside)]
