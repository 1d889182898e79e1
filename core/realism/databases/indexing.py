"""What the step `index` looks for in the images it has embedded: leaks, near-duplicates, vectors of another model."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import ImageOps

from realism.base.duplicates import DuplicateLimits, groups
from realism.base.errors import RealismError
from realism.base.files import atomic_folder
from realism.base.images import read_image
from realism.base.tables import chunks, read, read_shard, shard_paths
from realism.data.rows import RecordRow
from realism.databases.leaks import Leaks
from realism.parts import Images, Index, Retriever, checked
from realism.parts.embedder import AT_ONCE, MAX_SIDE, SHARD, Embedder, KeyedRow, rows_of
from realism.parts.sources import EmbeddedImages
from realism.parts.work import Shard, Table, Work

TRIED = 4
"""Images that are encoded to see whether given vectors are the retriever's."""
FITTING = 0.95
"""The least mean cosine of given vectors with the retriever's: half precision and another build move them by less."""


class Encoded:
    """A table of records and what is kept of their images, one shard in memory at a time."""

    def __init__(self, table: Path, embedder: Embedder, vectors: Callable[[list[str]], np.ndarray]):
        """vectors: those (n, d) of images, by their keys."""
        import pyarrow.parquet

        self._parts, self._embedder, self._vectors = shard_paths(table), embedder, vectors
        self._read = functools.lru_cache(maxsize=16)(lambda path: read_shard(path, KeyedRow))
        self._starts = np.cumsum([0, *(pyarrow.parquet.read_metadata(path).num_rows for path in self._parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def blocks(self) -> Iterator[tuple[int, list[KeyedRow]]]:
        """The number of the first row of each shard, and its rows."""
        for start, path in zip(self._starts.tolist(), self._parts, strict=False):
            yield start, self._read(path)

    def row(self, number: int) -> KeyedRow:
        """One row."""
        part = int(np.searchsorted(self._starts, number, side="right")) - 1
        return self._read(self._parts[part])[number - self._starts[part]]

    def vectors(self, rows: Sequence[KeyedRow]) -> np.ndarray:
        """(n, d) float32."""
        return self._vectors([row.key for row in rows])

    def hashes(self, rows: Sequence[KeyedRow]) -> np.ndarray:
        """(n, 4) perceptual hashes."""
        return self._embedder.hashes([row.key for row in rows])[:, 0]


def leaks_of(encoded: Encoded, sets: Sequence[Images], encoder: Retriever, work: Work) -> dict[int, str]:
    """The rows that are in one of the evaluation sets, and which image each is. Evaluation images are read, and those
    embedded, mirrored if need be, that look like one of the database."""
    evaluated: list[tuple[str, KeyedRow]] = []
    for i, images in enumerate(sets):
        # what cannot be read is left to the step that evaluates with it, which counts it
        hash_shard = partial(_hashed_shard, work.embedder)
        work.embedder.drop_uncached(work.folder / f"evaluated-{i}", None, hashes=True)
        table = work.map(Table(KeyedRow, f"evaluated-{i}"), chunks(rows_of(images), SHARD), hash_shard, unit="images")
        evaluated += [(images.part_name, row) for row in read(table, KeyedRow)]
    if not evaluated:
        return {}
    rows = [row for _, row in evaluated]
    leaks = Leaks(evaluated, work.embedder.hashes([row.key for row in rows]))
    suspected = leaks.suspected(encoded.hashes(block) for _, block in encoded.blocks() if block)
    views = [leaks.view(number) for number in suspected]
    mirrored = [rows[i] for i, is_mirrored in views if is_mirrored]
    plain = [rows[i] for i, is_mirrored in views if not is_mirrored]
    for some in chunks(plain, SHARD):
        work.embedder.embed(encoder, some, "index")
        work.embedder.flush()
    vectors = work.embedder.vectors(encoder, [row.key for row in plain])
    for some in chunks(mirrored, AT_ONCE):
        turned = [ImageOps.mirror(read_image(row.path, max_side=MAX_SIDE)) for row in some]
        both = (vectors, encoder.encode_images(turned))
        vectors = np.concatenate([each for each in both if len(each)])
        work.embedder.flush()
    found: dict[int, str] = {}
    for start, block in encoded.blocks():
        if block:
            among = leaks.among(block, encoded.hashes(block), encoded.vectors(block), suspected, vectors)
            found |= {start + i: leaked for i, leaked in among.items()}
    return found


def _hashed_shard(embedder: Embedder, _: int, records: list[RecordRow]) -> Shard:
    rows = embedder.hash_images(records, "index")[0]
    embedder.flush()
    return rows, []


def duplicates_of(
    encoded: Encoded, index: Index, limits: DuplicateLimits, folder: Path, left_out: Mapping[int, str]
) -> dict[int, str]:
    """The rows that are near-duplicates of an earlier one which is not left out, and of which. folder: a place for an
    index of all rows, which is removed again."""
    with atomic_folder(folder) as made:
        index.build((encoded.vectors(block) for _, block in encoded.blocks() if block), made)
    hashes = np.concatenate([encoded.hashes(block) for _, block in encoded.blocks() if block])
    blocks = (encoded.vectors(block) for _, block in encoded.blocks() if block)
    group = groups(blocks, hashes, lambda queries, k: checked.search(index, folder, queries, k, len(hashes)), limits)
    shutil.rmtree(folder)
    first: dict[int, int] = {}
    found: dict[int, str] = {}
    for row, which in enumerate(group.tolist()):
        if row not in left_out and first.setdefault(which, row) != row:
            found[row] = f"near-duplicate of {encoded.row(first[which]).id}"
    return found


def unit_rows(vectors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Vectors (d,) of any length -> float32 of length 1, without those that are zero or not finite."""
    whole = {id: vector.astype(np.float32) for id, vector in vectors.items()}
    lengths = {id: float(np.linalg.norm(vector)) for id, vector in whole.items()}
    return {id: whole[id] / np.float32(length) for id, length in lengths.items() if np.isfinite(length) and length}


def vectors_fit(
    images: EmbeddedImages, retriever: Retriever, rows: Sequence[KeyedRow], given: Mapping[str, np.ndarray]
) -> None:
    """Raises RealismError unless the retriever gives the first images about the vectors that came with them."""
    some = rows[:TRIED]
    if not some:
        return
    ours = retriever.encode_images([read_image(row.path, max_side=MAX_SIDE) for row in some])
    theirs = np.stack([given[row.id] for row in some])
    name = f"'{images.part_name}', declared as by {images.encoder},"
    if ours.shape != theirs.shape:
        raise RealismError(
            f"index: the vectors of {name} have {theirs.shape[1]} numbers, those of '{retriever.part_name}' "
            f"{ours.shape[1]}; take the retriever that made them"
        )
    cosine = float((ours * theirs).sum(axis=1).mean())
    if cosine < FITTING:
        raise RealismError(
            f"index: the vectors of {name} are not those of '{retriever.part_name}': their mean cosine with what it "
            f"gives the same images is {cosine:.2f}; take the retriever that made them"
        )
