"""run.json: the status of a run, its overrides, and the steps it has done."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import MinLen

from realism.base.errors import RealismError
from realism.base.files import read_json, write_json
from realism.parts.work import StepRecord
from realism.runs.lock import in_use

if TYPE_CHECKING:
    from pydantic import TypeAdapter

NAME = "run.json"
Status = Literal["at work", "done", "stopped", "failed"]
"""Stopped: by the user. A process that was killed leaves "at work", and holds the folder's lock no longer."""


@dataclass(frozen=True)
class RunRecord:
    """The contents of run.json."""

    recipe: str
    """The recipe's name."""
    fingerprint: str
    """32 hex digits that identify the recipe as it ran."""
    seeds: Annotated[tuple[int, ...], MinLen(1)]
    versions: dict[str, str]
    """Of the libraries and plugins that it was made with."""
    steps: tuple[StepRecord, ...] = ()
    """Those that were done, in order."""
    state: Status = "done"
    step: str = ""
    """The title of the step it is at, or ended in; "" if it is at none."""
    error: str = ""
    """The sentence that it failed with."""
    overrides: tuple[str, ...] = ()
    """The `key=value` it was given."""
    began: datetime | None = None
    """When the last process that worked on it began."""
    ended: datetime | None = None
    """When that process ended; None while it is at work, and if it was killed."""
    seconds: float = 0.0
    """How long all processes have worked on it, as far as was recorded."""

    def error_sentence(self) -> str:
        """The sentence that it failed with, and in which step."""
        error = self.error
        return f"step '{self.step}': {error}" if error and self.step and self.step not in error else error


class RecordWriter:
    """Writes run.json while a run is carried out."""

    def __init__(self, run: RunRecord, folder: Path):
        """run: what does not change while it is carried out."""
        self._run, self._folder, self._began = run, folder, datetime.now().astimezone()
        before = None
        with contextlib.suppress(RealismError):  # it is there for the first time, or was damaged
            before = read_record(folder)
        self._before = before.steps if before else ()
        self._seconds = before.seconds if before else 0.0

    def write(self, state: Status, steps: Sequence[StepRecord], at: str = "", error: str = "") -> None:
        """Write the status and the steps that were done. at: the step it is at, or ended in.

        Until it is done, steps of an earlier process that this one has not come to yet are listed as well, if those
        before them are the same, as their results can be read."""
        now = datetime.now().astimezone()
        same = [step.fingerprint for step in self._before[: len(steps)]] == [step.fingerprint for step in steps]
        record = replace(
            self._run,
            steps=(*steps, *(self._before[len(steps) :] if same and state != "done" else ())),
            state=state,
            step=at,
            error=error,
            began=self._began,
            ended=None if state == "at work" else now,
            seconds=round(self._seconds + (now - self._began).total_seconds(), 3),
        )
        write_record(record, self._folder)


def write_record(record: RunRecord, folder: Path) -> None:
    """Write it into a run's folder atomically."""
    times = {"began": _text(record.began), "ended": _text(record.ended)}
    write_json(folder / NAME, asdict(record) | times)


def read_record(folder: Path) -> RunRecord:
    """The record of a run. Raises RealismError if the folder is not that of a run, or its record is damaged."""
    try:
        record = _adapter().validate_python(read_json(folder / NAME))
        if all(_inside(step.folder) for step in record.steps):
            return record
    except OSError:
        message = f"'{folder}' is not the folder of a run; name the one that 'realism run' printed"
        raise RealismError(message) from None
    except ValueError:
        pass
    raise RealismError(f"'{folder / NAME}' is damaged; 'realism run' of the same recipe writes it anew")


def _inside(place: str) -> bool:
    """Whether a place lies below the run's folder, which a stranger may have written."""
    path = PurePosixPath(place)
    return not path.is_absolute() and ".." not in path.parts and bool(path.parts) and "\0" not in place


def status_of(record: RunRecord, folder: Path) -> str:
    """The status in a word: as recorded, or "killed" if no process is at work any more."""
    return "killed" if record.state == "at work" and not in_use(folder) else record.state


@functools.cache
def _adapter() -> TypeAdapter[RunRecord]:
    from pydantic import TypeAdapter

    return TypeAdapter(RunRecord)


def _text(time: datetime | None) -> str | None:
    return time.isoformat(timespec="seconds") if time else None
