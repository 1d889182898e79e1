"""Rows of .csv files."""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from realism.base.errors import RealismError
from realism.base.text_files import numbered_lines

END = "\0"
"""A line put behind the last, which no file has: if it is taken for a part of a cell, that cell never ended."""


def read_csv(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """(place, row) for each row, without columns that have no name. Raises RealismError, naming the place."""
    rows = _rows(path)
    header = next(rows, ("", []))[1]
    for place, cells in rows:
        if len(cells) > len(header):
            raise RealismError(f"{place}: more cells than the header has columns")
        yield place, {k: v for k, v in zip(header, cells, strict=False) if k}


def csv_columns(path: Path) -> list[str]:
    """The names in the header. Raises RealismError as `read_csv`."""
    return [name for name in next(_rows(path), ("", []))[1] if name]


def refuse_twice(place: str, columns: Iterable[str]) -> None:
    """Raises RealismError if two columns have one name."""
    if twice := next((name for name, count in Counter(columns).items() if count > 1), None):
        raise RealismError(f"{place}: the column '{twice}' stands twice; give each a name of its own")


def _rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """All rows that are not empty, of which the first is the header; the place is the line that a row begins in."""
    reader = csv.reader(itertools.chain(_lines(path), [END]))
    start, seen = 1, False
    while True:
        place = f"{path}:{start}"
        try:
            row = next(reader)
        except csv.Error as error:
            longest = f"a cell of more than {csv.field_size_limit():,} characters; does a quote never end?"
            message = longest if "field larger" in str(error) else f"not CSV: {error}"
            raise RealismError(f"{place}: {message}") from error
        if row == [END]:
            return
        if row and row[-1].endswith(END):
            raise RealismError(f"{place}: a quote in the row that begins here never ends")
        if row and not seen:
            refuse_twice(place, [name for name in row if name])
        if row:
            seen = True
            yield place, row
        start = reader.line_num + 1


def _lines(path: Path) -> Iterator[str]:
    for number, line in numbered_lines(path, newline=""):
        if END in line:
            raise RealismError(f"{path}:{number}: a zero byte in it, so it is no text in UTF-8; save it as that")
        yield line
