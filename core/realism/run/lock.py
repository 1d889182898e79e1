"""The folder of a run belongs to one process at a time, which writes its log there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from realism.base.errors import RealismError
from realism.run.progress import View


class Notes(logging.Handler):
    """Shows warnings to whoever watches the run, wherever they come from: steps, parts, plugins."""

    def __init__(self, view: View):
        super().__init__(logging.WARNING)
        self._view = view

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.WARNING:
            self._view.say(f"  note: {record.getMessage()}")


class LogFile(logging.FileHandler):
    """A log for which a run does not stop: on a full disk it lacks lines, and the step says that the disk is full."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


@contextmanager
def locked(folder: Path, view: View) -> Iterator[None]:
    """Make the folder, and hold it; what is logged goes into its log.txt, warnings to the view as well.

    Raises RealismError if it cannot be had: another process is at work in it, or it holds something else."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RealismError(f"run folder '{folder}' cannot be made: {error.strerror}") from None
    there = [p.name for p in folder.iterdir()]
    if there and not {".lock", "run.json"} & set(there):
        raise RealismError(f"'{folder}' holds other files and no run; choose a new or empty folder with --out")
    lock = filelock.FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise RealismError(
            f"another process is at work in '{folder}'; wait for it, or choose another folder with --out"
        ) from None
    log = logging.getLogger("realism")
    handler = LogFile(folder / "log.txt", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    notes = Notes(view)
    log.addHandler(handler)
    log.addHandler(notes)
    log.setLevel(logging.INFO)
    propagates, log.propagate = log.propagate, False
    try:
        yield
    finally:
        log.propagate = propagates
        log.removeHandler(notes)
        log.removeHandler(handler)
        handler.close()
        lock.release()
