"""What was said while a step worked, kept in its folder for the report."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from realism.base.files import WHOLE, regular

NOTES = "notes.jsonl"
MOST = 1000
"""Notes that are kept of a step."""


class _Keeper(logging.Handler):
    """Writes each warning once, and no more than MOST, whoever says it: steps, parts, plugins."""

    def __init__(self, file: Path):
        super().__init__(logging.WARNING)
        self._file, self._said = file, set(notes_of(file.parent))

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno == logging.WARNING and text not in self._said and len(self._said) < MOST:
            self._said.add(text)
            with contextlib.suppress(OSError):  # on a full disk, which the step will say
                self._write(json.dumps({"text": text}))

    def _write(self, line: str) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


@contextmanager
def noted(folder: Path) -> Iterator[None]:
    """What is logged as a warning of `realism` until the block ends is kept in the folder."""
    keeper, log = _Keeper(folder / NOTES), logging.getLogger("realism")
    log.addHandler(keeper)
    try:
        yield
    finally:
        log.removeHandler(keeper)


def notes_of(folder: Path) -> list[str]:
    """What was said while the step of this folder worked, each once; lines that cannot be read are left out."""
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
