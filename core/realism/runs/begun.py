"""What a step reads and works with, noted when it begins, so that it does not go on from something else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from realism.base.files import read_json, write_json
from realism.runs.done import BEGUN

MAY_DIFFER = "what is computed from here on may differ in its last bits from what one run would give"


@dataclass(frozen=True)
class Begun:
    """What stands for the contents of all that a step reads, by its place, and how many threads torch computes with,
    which decides the last bits of what it computes."""

    reads: Mapping[str, str]
    threads: int

    def note(self, folder: Path, title: str, others: set[int], warn: Callable[[str], object]) -> None:
        """Write it down, and warn if the step was begun, or those before it were done, with another number of
        threads; others: the numbers that these were done with, emptied once it is said."""
        before = _told(folder)
        if before is not None and before.threads != self.threads:
            warn(f"{title} was begun with {before.threads} threads and goes on with {self.threads}: {MAY_DIFFER}")
        elif others - {self.threads}:
            theirs = min(others - {self.threads})
            warn(f"steps that are kept were done with {theirs} threads, {title} with {self.threads}: {MAY_DIFFER}")
            others.clear()
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / BEGUN, asdict(before or self))


def begun_with_other(folder: Path, reads: Mapping[str, str]) -> bool:
    """Whether a step was begun in this folder with other contents of what it reads."""
    before = _told(folder)
    return before is not None and dict(before.reads) != dict(reads)


def threads() -> int:
    """How many threads torch computes with."""
    import torch

    return torch.get_num_threads()


def _told(folder: Path) -> Begun | None:
    """What is noted of a step; None if it has not begun, or the note cannot be read."""
    try:
        told = read_json(folder / BEGUN)
        return Begun(dict(told["reads"]), int(told["threads"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
