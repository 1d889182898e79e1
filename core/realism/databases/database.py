"""An indexed database: its records by row, without holding them all, and what it was made with."""

from __future__ import annotations

import bisect
import functools
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realism.base.errors import RealismError, damaged, shown
from realism.base.files import digest, write_json
from realism.base.machine import is_machine_error
from realism.base.tables import Row, count_shard, read_shard, shard_paths
from realism.data import artifacts
from realism.data.condition import Condition
from realism.data.rows import RecordRow
from realism.data.state import State
from realism.data.types import Hit, Record
from realism.parts import Retriever, checked
from realism.parts.returned import BrokenContract
from realism.runs.fingerprint import encoder_of, trained_by

if TYPE_CHECKING:
    import numpy as np

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class DatabaseRow(Row):
    """An image of an indexed database. Readers of clip-retrieval's folders look for image_path and caption."""

    id: str
    image_path: str
    caption: str = ""
    subject: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """What an indexed database was made with, as manifest.json says it."""

    retriever: str
    """What the recipe called the retriever."""
    encoder: dict[str, Any]
    """`encoder_of` it: class, options, and the fingerprints of its files."""
    trained: dict[str, str]
    """The fingerprints of its trained weights, by the name of the trained part."""
    vectors: str
    """Who made the vectors: "the retriever", or the folder they came from and the model the user states."""
    rows: int
    width: int
    """Numbers in a vector."""
    left_out: dict[str, int]
    """How many images are not in the database: leaks, duplicates."""
    evaluated: list[str]
    """The collections in which leaks were looked for."""
    versions: dict[str, str]
    """Of the libraries."""

    def write(self, folder: Path) -> None:
        """Say it in a database's folder, once all else is there."""
        write_json(folder / MANIFEST, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """What the folder says. Raises RealismError if it says nothing that can be read."""
        try:
            return cls(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            if is_machine_error(error):
                raise
            raise damaged(folder / MANIFEST) from None

    def refusal(self, retriever: Retriever, trained: Mapping[str, str] | None) -> str | None:
        """One sentence if the vectors are not those of this retriever, else None. trained: as `trained_by` gives it;
        None if it is not known."""
        asked = encoder_of(retriever)
        if digest(asked) != digest(self.encoder):
            return (
                f"the database was indexed with '{self.retriever}' and cannot be searched with "
                f"'{retriever.part_name}', another encoder ({_differences(self.encoder, asked)}); index it with "
                f"'{retriever.part_name}', or search with '{self.retriever}'"
            )
        if trained is not None and dict(trained) != self.trained:
            return (
                f"the database was indexed before '{retriever.part_name}' was trained as it is now; put a step 'index' "
                "between 'train' and this"
            )
        return None


def _differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    if ours["part"] != theirs["part"]:
        return f"{ours['part']} and {theirs['part']}"
    options, others = ours["options"], theirs["options"]
    unlike = [k for k in sorted({*options, *others}) if options.get(k) != others.get(k)]
    plain = [f"{k} {shown(options.get(k))} and {shown(others.get(k))}" for k in unlike if not _nested(options.get(k))]
    return "; ".join([*plain, *(k for k in unlike if _nested(options.get(k)))]) or "the files of its model have changed"


def _nested(value: Any) -> bool:
    return isinstance(value, dict | list)


def columns(row: RecordRow) -> dict[str, Any]:
    """What a condition on a database may name: id, path, subject and the keys of the metadata."""
    return {**row.metadata, "id": row.id, "path": row.path, "subject": row.subject}


class Database:
    """What the step `index` made: a folder with an index, vectors, and a table of records, row by row alike."""

    def __init__(self, folder: Path, trained: Mapping[str, str] | None = None):
        """trained: the weights of the retriever that will search, as `trained_by` gives them; see `of`."""
        self.folder = folder
        self._trained = trained
        self._parts = shard_paths(folder / "metadata")
        self._ends: list[int] = []
        for path in self._parts:
            self._ends.append(count_shard(path) + (self._ends[-1] if self._ends else 0))
        self._accepted: Retriever | None = None

    @classmethod
    def of(cls, state: State, retriever: Retriever) -> Database:
        """The database that was last indexed with a retriever; it refuses to be searched if the retriever was trained
        since."""
        return cls(state.path(artifacts.ImageIndex(retriever.part_name)), trained_by(retriever, state))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @functools.cached_property
    def manifest(self) -> Manifest:
        """What it was made with."""
        return Manifest.read(self.folder)

    def record(self, row: int) -> Record:
        """The record of a row."""
        part = bisect.bisect_right(self._ends, row)
        found = _read(self._parts[part])[row - (self._ends[part - 1] if part else 0)]
        return Record(found.id, Path(found.path), found.subject, found.metadata)

    def rows(self) -> Iterator[RecordRow]:
        """All rows, one shard in memory at a time."""
        for path in self._parts:
            yield from _read(path)

    def allowed(self, where: Condition) -> np.ndarray:
        """(n,) bool: which rows meet a condition. Raises RealismError if none does, or no row has what it names."""
        import numpy as np

        available: set[str] = set()

        def meets() -> Iterator[bool]:
            for row in self.rows():
                cells = columns(row)
                available.update(cells)
                yield where(cells)

        mask = np.fromiter(meets(), dtype=bool, count=len(self))
        if unknown := where.unknown(available):
            raise RealismError(f"where: {unknown}")
        if not mask.any():
            raise RealismError(f"where: no image of the database meets '{where}'; loosen it or leave it out")
        return mask

    def shares(self, subjects: Collection[str], allowed: np.ndarray | None = None) -> dict[str, float]:
        """For each of these subjects, the share of the rows (of those allowed) that show it; nothing where no row has a
        subject."""
        import pyarrow
        import pyarrow.parquet

        wanted, counts, named, start = set(subjects) - {""}, Counter[str](), 0, 0
        for path, end in zip(self._parts, self._ends, strict=True):
            column = pyarrow.parquet.read_table(path, columns=["subject"])["subject"]
            if allowed is not None:
                column = column.filter(pyarrow.array(allowed[start:end]))
            shown, start = column.to_pylist(), end
            named += sum(map(bool, shown))
            counts.update(filter(wanted.__contains__, shown))
        n = len(self) if allowed is None else int(allowed.sum())
        return {subject: counts[subject] / n for subject in wanted} if named else {}

    def search(
        self, retriever: Retriever, texts: Sequence[str], k: int, allowed: np.ndarray | None = None
    ) -> list[list[Hit]]:
        """The k best records for each text, best first; fewer where fewer are allowed. Raises RealismError for a
        retriever whose vectors these are not."""
        if retriever is not self._accepted:
            if refusal := self.manifest.refusal(retriever, self._trained):
                raise RealismError(refusal)
            self._accepted = retriever
        queries = checked.encode_texts(retriever, texts)
        if queries.shape[1] != self.manifest.width:
            raise BrokenContract(retriever, f"texts have {queries.shape[1]} numbers, images {self.manifest.width}")
        similarities, rows = checked.search(retriever.index, self.folder / "index", queries, k, len(self), allowed)
        return [
            [Hit(self.record(int(row)), float(s)) for s, row in zip(line, found, strict=True) if row >= 0]
            for line, found in zip(similarities, rows, strict=True)
        ]


@functools.lru_cache(maxsize=64)
def _read(part: Path) -> list[RecordRow]:
    """The rows of a part. Its folder is called by a fingerprint, so what lies there does not change."""
    return [RecordRow(r.id, r.image_path, r.subject, r.metadata) for r in read_shard(part, DatabaseRow)]
