"""Rows of .jsonl, .csv and .parquet files, with the place of each for messages."""

from __future__ import annotations

import csv
import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from realism.base.errors import RealismError

FIRST = 100
"""Rows that say which columns there are, where no head does."""


def read_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, row) for each row: the place is "file:line" (row number for Parquet), cells without a value are left out.

    Raises RealismError, naming the place, for a file that is not there, of another kind, or not as its name says.
    """
    kinds = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}
    if path.suffix.lower() not in kinds:
        raise RealismError(f"{path}: expected a file of kind {', '.join(kinds)}")
    if not path.is_file():
        raise RealismError(f"{path}: no such file")
    try:
        for place, row in kinds[path.suffix.lower()](path):
            yield place, {str(k): v for k, v in row.items() if k is not None and not _is_missing(v)}
    except UnicodeDecodeError as error:
        raise RealismError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def read_columns(path: Path) -> list[str]:
    """The columns of a table: its head, or for .jsonl the keys of the first rows. Raises RealismError as `read_rows`
    does."""
    first = [row for _, row in itertools.islice(read_rows(path), FIRST)]
    if path.suffix.lower() == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            return next(csv.reader(file), [])
    if path.suffix.lower() == ".parquet":
        import pyarrow.parquet

        return list(pyarrow.parquet.read_schema(path).names)
    return list(dict.fromkeys(key for row in first for key in row))


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _jsonl(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise RealismError(f"{path}:{number}: not JSON: {error}") from error
            if not isinstance(row, dict):
                raise RealismError(f'{path}:{number}: expected an object such as {{"text": "..."}}')
            yield f"{path}:{number}", row


def _csv(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        try:
            for row in reader:
                if None in row:
                    raise RealismError(f"{path}:{reader.line_num}: more cells than the header has columns")
                yield f"{path}:{reader.line_num}", {k: v for k, v in row.items() if v != ""}
        except csv.Error as error:
            raise RealismError(f"{path}:{reader.line_num}: not CSV: {error}") from error


def _parquet(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}:{number}", row
    except (pyarrow.ArrowException, OSError) as error:
        raise RealismError(f"{path}: not a Parquet file: {str(error).splitlines()[0]}") from error
