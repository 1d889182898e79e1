"""Text files that a user named: UTF-8 with or without a mark, and a sentence if they are not."""

from __future__ import annotations

import codecs
import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from realism.base.errors import RealismError
from realism.base.files import regular

LONGEST = 10_000_000
"""Characters of a line. A longer one belongs to a file of another kind."""


@contextlib.contextmanager
def open_text(path: Path, newline: str | None = None) -> Iterator[TextIO]:
    """The open file. Raises RealismError, also while it is read, if it is none or not UTF-8."""
    try:
        with regular(path).open(encoding="utf-8-sig", newline=newline) as file:
            yield file
    except UnicodeDecodeError:
        raise RealismError(_undecodable(path)) from None
    except FileNotFoundError:
        raise RealismError(f"{path}: no such file") from None
    except OSError as error:
        raise RealismError(f"{path}: it cannot be read: {error.strerror}") from error


def read_text(path: Path) -> str:
    """All of a file. Raises as `open_text`."""
    with open_text(path) as file:
        return file.read()


def numbered_lines(path: Path, newline: str | None = None) -> Iterator[tuple[int, str]]:
    """Lines, with their ends, and their numbers from 1. Raises as `open_text`, and for a line over LONGEST."""
    with open_text(path, newline) as file:
        for number in itertools.count(1):
            line = file.readline(LONGEST + 1)
            if not line:
                return
            if len(line) > LONGEST:
                raise RealismError(f"{path}:{number}: a line of more than {LONGEST:,} characters; is this the file?")
            yield number, line


def _undecodable(path: Path) -> str:
    with path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return f"{path}: not UTF-8 text but UTF-16; save it as UTF-8"
        file.seek(0)
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return f"{path}:{number}: not UTF-8 text ({error.reason}); save it as UTF-8"
    return f"{path}: not UTF-8 text; save it as UTF-8"
