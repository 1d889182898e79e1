"""The inputs of a step, recorded when it starts, so that it does not go on from others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from realism.base.files import read_json, write_json
from realism.runs.manifest import START

MAY_DIFFER = "what is computed from here on may differ in its last bits from what one run would give"


@dataclass(frozen=True)
class StepStart:
    """A hash of the contents of each input of a step, by its place, and the number of torch's threads, which decides
    the last bits of what it computes."""

    reads: Mapping[str, str]
    threads: int

    def write(self, folder: Path, title: str, others: set[int], warn: Callable[[str], object]) -> None:
        """Record it, unless an earlier start is recorded. Warns if that start, or steps before it, had another number
        of threads; others: the numbers of those steps, emptied after the warning."""
        before = _read(folder)
        if before is not None and before.threads != self.threads:
            warn(f"{title} was started with {before.threads} threads and goes on with {self.threads}: {MAY_DIFFER}")
        elif others - {self.threads}:
            theirs = min(others - {self.threads})
            warn(f"steps that are kept were done with {theirs} threads, {title} with {self.threads}: {MAY_DIFFER}")
            others.clear()
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / START, asdict(before or self))


def inputs_changed(folder: Path, reads: Mapping[str, str]) -> bool:
    """Whether a step was started in this folder with other contents of its inputs."""
    before = _read(folder)
    return before is not None and dict(before.reads) != dict(reads)


def threads() -> int:
    """The number of threads that torch computes with."""
    import torch

    return torch.get_num_threads()


def _read(folder: Path) -> StepStart | None:
    """The recorded start; None if the step has not started, or the record cannot be read."""
    try:
        record = read_json(folder / START)
        return StepStart(dict(record["reads"]), int(record["threads"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
