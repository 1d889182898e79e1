"""Exact search over all vectors."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from realism.errors import RealismError
from realism.files import write_aside, write_json
from realism.parts import Index

FILE = "flat.faiss"
ABOUT = "flat.json"


@dataclass
class Flat(Index):
    """Every vector is compared (FAISS IndexFlatIP): exact, right up to some hundred thousand images.

    Building holds all vectors in memory (4 d n bytes: 0.2 GB for 100,000 of 512); searching maps the file.
    """

    def build(self, shards: Iterable[np.ndarray], folder: Path) -> None:
        faiss = import_faiss()
        index = None
        for number, shard in enumerate(shards):
            if index is None:
                index = faiss.IndexFlatIP(shard.shape[1])
            if shard.ndim != 2 or shard.shape[1] != index.d:
                raise RealismError(f"shard {number} has shape {shard.shape}, expected (n, {index.d}) as the first")
            index.add(np.ascontiguousarray(shard, dtype=np.float32))
        if index is None or index.ntotal == 0:
            raise RealismError("no vectors to build an index of")
        with write_aside(folder / FILE) as aside:
            faiss.write_index(index, str(aside))
        about = {"kind": "flat", "rows": index.ntotal, "width": index.d, "bytes": (folder / FILE).stat().st_size}
        write_json(folder / ABOUT, about)

    def search(
        self, folder: Path, queries: np.ndarray, k: int, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        faiss = import_faiss()
        index = open_index(folder)
        if queries.ndim != 2 or queries.shape[1] != index.d:
            raise RealismError(
                f"queries have shape {queries.shape}, but the index in {folder} holds vectors of {index.d}; it was "
                "built with another encoder"
            )
        if allowed is not None and allowed.shape != (index.ntotal,):
            raise RealismError(f"allowed has shape {allowed.shape}, but the index in {folder} has {index.ntotal} rows")
        if len(queries) == 0:
            return np.empty((0, k), np.float32), np.empty((0, k), np.int64)
        parameters = None
        if allowed is not None:
            bits = np.packbits(allowed.astype(bool), bitorder="little")
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))
        similarities, rows = index.search(np.ascontiguousarray(queries, dtype=np.float32), k, params=parameters)
        return np.where(rows < 0, np.float32(-np.inf), similarities), rows


def open_index(folder: Path) -> Any:
    """The FAISS index in the folder, its vectors mapped from the file, not read.

    FAISS maps whatever it is given, and a file cut short ends the process; so its size is checked before.
    """
    faiss = import_faiss()
    path = folder / FILE
    if not path.is_file() or not (folder / ABOUT).is_file():
        raise RealismError(f"no index in {folder}: build it first")
    if path.stat().st_size != json.loads((folder / ABOUT).read_text())["bytes"]:
        raise RealismError(f"{path} is no whole FAISS index; build it again")
    try:
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise RealismError(f"{path} is no whole FAISS index; build it again") from error


def import_faiss() -> Any:
    """The module. Raises RealismError saying how to get it."""
    try:
        import faiss
    except ImportError as error:
        raise RealismError(
            'FAISS is not installed: pip install "realism[cpu]", or "realism[gpu]" on a machine with CUDA (one of them '
            "only)"
        ) from error
    return faiss
