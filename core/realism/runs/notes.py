"""The warnings of a step, recorded in its folder for the report."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from realism.base.files import WHOLE, regular

NOTES = "notes.jsonl"
LIMIT = 1000
"""Warnings that are recorded of a step."""


class _NoteFile(logging.Handler):
    """Writes each warning once, and no more than LIMIT, of steps, parts and plugins alike."""

    def __init__(self, file: Path):
        super().__init__(logging.WARNING)
        self._file, self._written = file, set(notes_of(file.parent))

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno == logging.WARNING and text not in self._written and len(self._written) < LIMIT:
            self._written.add(text)
            with contextlib.suppress(OSError):  # on a full disk, which the step will report
                self._write(json.dumps({"text": text}))

    def _write(self, line: str) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


@contextmanager
def warnings_recorded(folder: Path) -> Iterator[None]:
    """What is logged as a warning of `realism` until the block ends is recorded in the folder."""
    handler, log = _NoteFile(folder / NOTES), logging.getLogger("realism")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def notes_of(folder: Path) -> list[str]:
    """The warnings recorded in a step's folder, each once; lines that cannot be read are left out."""
    try:
        file = regular(folder / NOTES)
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.stat().st_size < WHOLE else []
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            found.append(str(json.loads(line)["text"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return list(dict.fromkeys(found))
