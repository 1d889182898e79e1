"""An indexed database: its records by row, without holding them all."""

from __future__ import annotations

import bisect
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realism.errors import RealismError
from realism.nouns import Hit, Record
from realism.parts import Retriever
from realism.recipe.condition import Condition
from realism.tables import RecordRow, parts, read_part

if TYPE_CHECKING:
    import numpy as np


def columns(row: RecordRow) -> dict[str, Any]:
    """What a condition on a database may name: id, path, subject and the keys of the metadata."""
    return {**row.metadata, "id": row.id, "path": row.path, "subject": row.subject}


class Database:
    """What the step `index` made: a folder with an index and a table of records, row by row alike."""

    def __init__(self, folder: Path):
        import pyarrow.parquet

        self.folder = folder
        self._parts = parts(folder / "metadata")
        self._ends: list[int] = []
        for path in self._parts:
            rows = pyarrow.parquet.read_metadata(path).num_rows
            self._ends.append(rows + (self._ends[-1] if self._ends else 0))
        self._read = functools.lru_cache(maxsize=64)(lambda path: read_part(path, RecordRow))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def record(self, row: int) -> Record:
        """The record of a row."""
        part = bisect.bisect_right(self._ends, row)
        found = self._read(self._parts[part])[row - (self._ends[part - 1] if part else 0)]
        return Record(found.id, Path(found.path), found.subject, found.metadata)

    def rows(self) -> Iterator[RecordRow]:
        """All rows, one part in memory at a time."""
        for path in self._parts:
            yield from read_part(path, RecordRow)

    def allowed(self, where: Condition) -> np.ndarray:
        """(n,) bool: which rows meet a condition. Raises RealismError if none does."""
        import numpy as np

        there = sorted({key for row in self._read(self._parts[0]) for key in columns(row)})
        if unknown := where.unknown(there):
            raise RealismError(f"retrieve: {unknown}")
        mask = np.fromiter((where(columns(row)) for row in self.rows()), dtype=bool, count=len(self))
        if not mask.any():
            raise RealismError(f"retrieve: no image of the database meets '{where}'; loosen it or leave it out")
        return mask

    def search(
        self, retriever: Retriever, texts: Sequence[str], k: int, allowed: np.ndarray | None = None
    ) -> list[list[Hit]]:
        """The k best records for each text, best first; fewer where fewer are allowed."""
        queries = retriever.encode_texts(texts)
        similarities, rows = retriever.index.search(self.folder / "index", queries, k, allowed)
        return [
            [Hit(self.record(int(row)), float(s)) for s, row in zip(line, found, strict=True) if row >= 0]
            for line, found in zip(similarities, rows, strict=True)
        ]
