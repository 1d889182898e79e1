"""The files of an index: index.json, all vectors, and what FAISS built of them.

index.json is written last and says what the others hold. Vectors are only appended and a FAISS file is never written
over, so whatever is stopped, the old index.json stands for an old index that is whole.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from realism.base.errors import RealismError, remedy
from realism.base.files import atomic_write, write_json

from realism_retrievers.faiss_exact import BLOCK, import_faiss

INFO = "index.json"
VECTORS = "vectors.f32"
AGAIN = "build the index again"


@dataclass(frozen=True)
class IndexInfo:
    """The contents of index.json."""

    kind: str
    """flat, hnsw, ..."""
    rows: int
    width: int
    """Numbers in a vector."""
    trained: int
    """Rows of the FAISS file when it was first built; later ones were added to it."""
    file: str = ""
    """The FAISS file; none where all vectors are compared."""
    bytes: int = 0
    """The size of the FAISS file."""


@dataclass(frozen=True)
class OpenIndex:
    """An index ready to be searched, its files mapped, not read."""

    info: IndexInfo
    vectors: np.ndarray
    structure: Any
    """The FAISS index; None where all vectors are compared."""
    stats: tuple[tuple[int, ...], ...]
    """The state of the files when they were opened."""


def read_info(folder: Path) -> IndexInfo:
    """The contents of index.json. Raises RealismError if it is missing, damaged, or claims more than the files hold."""
    path = folder / INFO
    if not path.is_file():
        raise RealismError(f"no index in {folder}; {remedy(folder, AGAIN)}")
    try:
        info = IndexInfo(**json.loads(path.read_text(encoding="utf-8")))
        needed = {VECTORS: 4 * info.rows * info.width, **({info.file: info.bytes} if info.file else {})}
    except (ValueError, TypeError) as error:
        raise RealismError(f"{path} is damaged; {remedy(folder, AGAIN)}") from error
    for name, size in needed.items():
        # what is mapped beyond the end of a file ends the process, so sizes are looked at before
        if not (folder / name).is_file() or (folder / name).stat().st_size < size:
            raise RealismError(f"{folder / name} is incomplete; {remedy(folder, AGAIN)}")
    return info


def append_vectors(folder: Path, shards: Iterable[np.ndarray], old: IndexInfo | None = None) -> tuple[int, int]:
    """Write the rows of all shards behind the old ones; the number of rows there are then, and their width.

    Raises RealismError if a shard has another width, or if there is no row at all.
    """
    rows, width = (old.rows, old.width) if old else (0, 0)
    with (folder / VECTORS).open("r+b" if old else "wb") as file:
        file.truncate(4 * rows * width)  # what an add that was stopped has left
        file.seek(0, os.SEEK_END)
        for number, shard in enumerate(shards):
            width = width or (shard.shape[1] if shard.ndim == 2 else 0)
            if shard.ndim != 2 or shard.shape[1] != width:
                like = "those of the index" if old else "the first"
                raise RealismError(f"shard {number} has shape {shard.shape}, expected (n, {width or 'd'}) as {like}")
            file.write(np.ascontiguousarray(shard, dtype=np.float32).data)
            rows += len(shard)
        file.flush()
        os.fsync(file.fileno())
    if rows == 0:
        raise RealismError("no vectors to build an index of")
    return rows, width


def read_blocks(folder: Path, width: int, start: int, stop: int) -> Iterator[np.ndarray]:
    """Rows start to stop, one (m, d) block in memory at a time. They are read, not mapped: mapped pages would count as
    this process's memory until they are let go."""
    with (folder / VECTORS).open("rb") as file:
        file.seek(4 * start * width)
        for at in range(start, stop, BLOCK):
            yield np.fromfile(file, np.float32, min(BLOCK, stop - at) * width).reshape(-1, width)


def commit(folder: Path, info: IndexInfo, structure: Any) -> None:
    """Make this the index in the folder: the FAISS file, then index.json; files of the index before are removed."""
    if structure is not None:
        info = dataclasses.replace(info, file=f"{info.kind}-{info.rows}.faiss")
        with atomic_write(folder / info.file) as temporary:
            import_faiss().write_index(structure, str(temporary))
        info = dataclasses.replace(info, bytes=(folder / info.file).stat().st_size)
    write_json(folder / INFO, dataclasses.asdict(info))
    for old in [p for p in folder.iterdir() if ".faiss" in p.name and p.name != info.file]:
        old.unlink()


def read_structure(folder: Path, info: IndexInfo, mapped: bool) -> Any:
    """The FAISS index of the file, mapped, or read so that rows can be added. None if there is no file. Raises
    RealismError if it is damaged."""
    faiss = import_faiss()
    if not info.file:
        return None
    try:
        return faiss.read_index(str(folder / info.file), faiss.IO_FLAG_MMAP_IFC if mapped else 0)
    except RuntimeError as error:
        raise RealismError(f"{folder / info.file} is incomplete; {remedy(folder, AGAIN)}") from error


def open_index(folder: Path) -> OpenIndex:
    """The index in the folder. It stays open for the next search, as long as its files stay as they are. Raises
    RealismError if it is missing or damaged."""
    opened = _open(folder, _stats(folder, (INFO,)))
    if _stats(folder, _names(opened.info)) != opened.stats:
        _open.cache_clear()
        opened = _open(folder, _stats(folder, (INFO,)))
    return opened


@functools.lru_cache(maxsize=4)
def _open(folder: Path, info_stats: tuple[tuple[int, ...], ...]) -> OpenIndex:
    info = read_info(folder)
    stats = _stats(folder, _names(info))
    vectors = np.memmap(folder / VECTORS, np.float32, mode="r", shape=(info.rows, info.width))
    # as a plain array, which numpy cuts and passes on faster
    return OpenIndex(info, vectors.view(np.ndarray), read_structure(folder, info, mapped=True), stats)


def _names(info: IndexInfo) -> tuple[str, ...]:
    return (INFO, VECTORS, info.file) if info.file else (INFO, VECTORS)


def _stats(folder: Path, names: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """What changes when a file does; empty for one that is not there."""
    found: list[tuple[int, ...]] = []
    for name in names:
        try:
            stat = os.stat(f"{folder}/{name}")  # noqa: PTH116 - a Path takes longer to make than the file to look up
            found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
        except OSError:
            found.append(())
    return tuple(found)
