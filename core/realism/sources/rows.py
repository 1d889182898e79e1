"""Rows of .jsonl, .csv and .parquet files, with the place of each for messages."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from realism.base.errors import RealismError
from realism.base.files import regular
from realism.base.plain import Plain, parse_json
from realism.base.text_files import numbered_lines
from realism.sources.csv_rows import csv_columns, read_csv, refuse_twice

FIRST = 100
"""Rows that say which columns there are, where no head does."""


def read_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, row) for each row: the place is "file:line" (row number for Parquet), cells without a value are left out.

    Values are plain (see `Plain`): of a column that holds bytes, or what else no text says, nothing is left, and a
    warning tells. Raises RealismError, naming the place, for a file that is not there, of another kind, or not as its
    name says.
    """
    warned: set[str] = set()
    for place, row, left_out in _plain_rows(path):
        for column, kind in left_out.items():
            if column not in warned:
                warned.add(column)
                logging.getLogger("realism").warning(
                    "%s: the column '%s' holds %s, which cannot be written as text, and is left out", path, column, kind
                )
        yield place, row


def _plain_rows(path: Path) -> Iterator[tuple[str, dict[str, Any], dict[str, str]]]:
    """As `read_rows`, with the columns that lost something, and what kind of value that was."""
    kinds = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}
    if path.suffix.lower() not in kinds:
        raise RealismError(f"{path}: expected a file of kind {', '.join(kinds)}")
    for place, row in kinds[path.suffix.lower()](path):
        left_out: dict[str, str] = {}
        cells = {k: _cell(place, k, v, left_out) for k, v in row.items()}
        yield place, {k: v for k, v in cells.items() if v is not None}, left_out


def read_columns(path: Path) -> list[str]:
    """The columns of a table: its head, or for .jsonl the keys of the first rows. Raises RealismError as `read_rows`
    does."""
    first = [row for _, row, _ in itertools.islice(_plain_rows(path), FIRST)]
    if path.suffix.lower() == ".csv":
        return csv_columns(path)
    if path.suffix.lower() == ".parquet":
        import pyarrow.parquet

        return list(pyarrow.parquet.read_schema(path).names)
    return list(dict.fromkeys(key for row in first for key in row))


def _cell(place: str, column: str, value: Any, left_out: dict[str, str]) -> Any:
    plain = Plain()
    try:
        value = plain(value)
    except ValueError as error:
        raise RealismError(f"{place}: column '{column}': {error}") from None
    if plain.left_out:
        left_out[column] = plain.left_out[0]
    return value


def _jsonl(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in numbered_lines(path):
        if line.strip():
            row = parse_json(line, f"{path}:{number}")
            if not isinstance(row, dict):
                raise RealismError(f'{path}:{number}: expected an object such as {{"text": "..."}}')
            yield f"{path}:{number}", row


def _csv(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((place, {k: v for k, v in row.items() if v != ""}) for place, row in read_csv(path))


def _parquet(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(regular(path)) as file:
            refuse_twice(str(path), file.schema_arrow.names)
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}:{number}", row
    except RealismError:
        raise
    except FileNotFoundError:
        raise RealismError(f"{path}: no such file") from None
    except Exception as error:  # pyarrow raises many kinds, also for values that Python has no room for
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RealismError(f"{path}: not a Parquet file, or incomplete: {reason}") from error
