"""The folder of a run belongs to one process at a time, which writes its log there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from realism.base.errors import RealismError
from realism.base.texts import printable
from realism.base.files import tidy
from realism.base.texts import is_unicode, readable
from realism.runs.progress import View

PATIENCE = 0.2
"""Seconds to wait for the lock: `in_use` holds it for an instant."""


class Notes(logging.Handler):
    """Shows warnings to whoever watches the run, wherever they come from: steps, parts, plugins."""

    def __init__(self, view: View):
        super().__init__(logging.WARNING)
        self._view = view

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.WARNING:
            self._view.say(f"  note: {record.getMessage()}")


def in_use(folder: Path) -> bool:
    """Whether a process is at work in a run's folder; so it is called, too, where that cannot be found out."""
    if not (folder / ".lock").is_file():
        return False
    try:
        with filelock.FileLock(folder / ".lock", timeout=0):
            return False
    except (filelock.Timeout, OSError):
        return True


class Lines(logging.Formatter):
    """Lines of the log, which a terminal may show as they are."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


class LogFile(logging.FileHandler):
    """A log for which a run does not stop: on a full disk it lacks lines, and the step says that the disk is full."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


@contextmanager
def locked(folder: Path, view: View) -> Iterator[None]:
    """Make the folder, and hold it; what is logged goes into its log.txt, warnings to the view as well.

    Raises RealismError if it cannot be had: another process is at work in it, or it holds something else."""
    if not is_unicode(str(folder)):
        raise RealismError(f"run folder '{readable(str(folder))}' is not UTF-8; choose another with --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RealismError(f"run folder '{folder}' cannot be made: {error.strerror}") from None
    available = [p.name for p in folder.iterdir()]
    if available and not {".lock", "run.json"} & set(available):
        raise RealismError(f"'{folder}' holds other files and no run; choose a new or empty folder with --out")
    if (folder / ".lock").is_symlink():
        raise _strange(folder / ".lock", folder)
    lock = filelock.FileLock(folder / ".lock", timeout=PATIENCE)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise RealismError(
            f"another process is at work in '{folder}'; wait for it, or choose another folder with --out"
        ) from None
    if irregular := tidy(folder):
        lock.release()
        raise _strange(irregular[0], folder)
    log = logging.getLogger("realism")
    handler = LogFile(folder / "log.txt", encoding="utf-8")
    handler.setFormatter(Lines("%(asctime)s %(levelname)s %(message)s"))
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


def _strange(path: Path, folder: Path) -> RealismError:
    return RealismError(
        f"'{path}' is a link or no plain file, and what is written there could end up outside of the run's folder: "
        f"remove it, or '{folder}' if you do not know it"
    )
