"""What all indexes have in common: building, growing, and searching with a filter."""

from __future__ import annotations

import contextlib
import functools
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from realism.base.errors import RealismError
from realism.parts import Index

from realism_retrievers.faiss_exact import exact_search, import_faiss, rerank
from realism_retrievers.faiss_files import (
    IndexInfo,
    OpenIndex,
    append_vectors,
    commit,
    open_index,
    read_blocks,
    read_info,
    read_structure,
)

FEW = 10_000
"""Up to so many rows all are compared, whatever the kind: 20 MB at a width of 512, a millisecond or two for a query,
exact, and nothing to train. With fewer, 256 centroids have too little to be trained on."""
GROWN = 4
"""An index that has grown more than so many times over is built anew: its lists were made for fewer rows."""
USUAL_K = 50
"""Options of the kinds are made for up to so many rows a query; for more of them, more is looked at."""
RANKED = 100
"""Rows that are ranked by their exact vectors at the least, where FAISS only has codes."""
SEED = 0


class FaissIndex(Index):
    """Vectors in a file, and for larger sets a structure of FAISS that finds most of the nearest without comparing all.

    Rows should have length 1, as those of a retriever have: kinds other than flat look for neighbours by angle.
    """

    @abstractmethod
    def chosen(self, rows: int, width: int) -> Approximate | None:
        """What searches so many rows of that width; None where all are compared."""

    def build(self, shards: Iterable[np.ndarray], folder: Path) -> None:
        """See `Index.build`. Vectors go to a file first, as the training sample is drawn from all of them."""
        import_faiss()
        rows, width = append_vectors(folder, shards)
        kind = self.chosen(rows, width)
        commit(folder, IndexInfo(_name(kind), rows, width, rows), kind and kind.new_structure(folder, rows, width))

    def add(self, folder: Path, shards: Iterable[np.ndarray]) -> None:
        """See `Index.add`. Where the larger set asks for another kind, or is over four times what the index was built
        for, it is built anew from all vectors."""
        old = read_info(folder)
        rows, width = append_vectors(folder, shards, old)
        kind, trained, structure = self.chosen(rows, width), rows, None
        if kind and kind.kind == old.kind and rows <= GROWN * old.trained:
            trained, structure = old.trained, read_structure(folder, old, mapped=False)
            kind.extend(structure, read_blocks(folder, width, old.rows, rows))
        elif kind:
            structure = kind.new_structure(folder, rows, width)
        if rows > old.rows:
            commit(folder, IndexInfo(_name(kind), rows, width, trained), structure)

    def search(
        self, folder: Path, queries: np.ndarray, k: int, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        opened = open_index(folder)
        info = opened.info
        kind = self.chosen(info.rows, info.width)
        _check(folder, info, _name(kind), queries, allowed)
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        count = info.rows if allowed is None else int(np.count_nonzero(allowed))
        if count == info.rows:
            allowed = None
        share = max(1, count) / info.rows
        effort = max(1.0, k / USUAL_K) / share
        if kind is None or count <= max(FEW, k) or kind.rows_compared(info, effort, share) >= count:
            return exact_search(opened.vectors, queries, k, allowed)
        similarities, rows = _approximate(opened, kind, queries, k, allowed, effort)
        if rows.size and rows.min() < 0:
            # too few where it looked, as happens when a filter allows only what is far from the query
            short = (rows < 0).any(axis=1)
            similarities[short], rows[short] = exact_search(opened.vectors, queries[short], k, allowed)
        return similarities, rows


class Approximate(FaissIndex):
    """A kind of index with a structure of FAISS."""

    kind: ClassVar[str]
    """Its registered name."""
    threads: ClassVar[int | None] = None
    """Threads that add rows, where their number decides what comes out; None is all."""
    widened: ClassVar[int] = 1
    """How many rows are fetched for each one asked for, to be ranked by their exact vectors; 1 where FAISS has them."""

    def chosen(self, rows: int, width: int) -> Approximate | None:
        return self if rows > FEW else None

    @abstractmethod
    def sample_size(self, rows: int) -> int:
        """The number of rows, of so many, that the structure is trained on."""

    @abstractmethod
    def trained(self, sample: np.ndarray, rows: int, width: int) -> Any:
        """A FAISS index for so many rows, empty, trained on the (s, d) sample."""

    @abstractmethod
    def rows_compared(self, info: IndexInfo, effort: float, share: float) -> float:
        """About how many rows are compared with one query, where a filter allows a share of them."""

    @abstractmethod
    def parameters(self, effort: float, selector: dict[str, Any]) -> Any:
        """FAISS's SearchParameters. effort: 1 usually, more for a large k or a tight filter. selector: `sel` or
        nothing."""

    @functools.cached_property
    def default_parameters(self) -> Any:
        """The parameters of a search without a filter, made once: that takes a tenth of a quick search."""
        return self.parameters(1.0, {})

    def new_structure(self, folder: Path, rows: int, width: int) -> Any:
        """A FAISS index of the first rows of the folder's vectors."""
        sample = _sample(folder, rows, width, min(rows, self.sample_size(rows)))
        structure = self.trained(sample, rows, width)
        self.extend(structure, read_blocks(folder, width, 0, rows))
        return structure

    def extend(self, structure: Any, blocks: Iterable[np.ndarray]) -> None:
        """Add blocks of rows to a FAISS index."""
        with omp_threads(self.threads):
            for block in blocks:
                structure.add(block)


@contextlib.contextmanager
def omp_threads(count: int | None) -> Iterator[None]:
    """FAISS with so many threads in the block; None leaves them."""
    faiss = import_faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count or before)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _approximate(
    opened: OpenIndex, kind: Approximate, queries: np.ndarray, k: int, allowed: np.ndarray | None, effort: float
) -> tuple[np.ndarray, np.ndarray]:
    if allowed is None and effort == 1:
        parameters = kind.default_parameters
    else:
        faiss, selector = import_faiss(), {}
        if allowed is not None:
            selector["sel"] = faiss.IDSelectorBitmap(np.packbits(allowed.astype(bool), bitorder="little"))
        parameters = kind.parameters(effort, selector)
    if kind.widened == 1:
        return opened.structure.search(queries, k, params=parameters)
    fetched = max(RANKED, kind.widened * k)
    return rerank(opened.vectors, queries, opened.structure.search(queries, fetched, params=parameters)[1], k)


def _check(folder: Path, info: IndexInfo, kind: str, queries: np.ndarray, allowed: np.ndarray | None) -> None:
    if info.kind != kind:
        raise RealismError(f"the index in {folder} is of kind '{info.kind}', not '{kind}'; build it again")
    if queries.ndim != 2 or queries.shape[1] != info.width:
        raise RealismError(
            f"queries have shape {queries.shape}, but the index in {folder} holds vectors of {info.width}; it was "
            "built with another encoder"
        )
    if allowed is not None and allowed.shape != (info.rows,):
        raise RealismError(f"allowed has shape {allowed.shape}, but the index in {folder} has {info.rows} rows")


def _name(kind: Approximate | None) -> str:
    return kind.kind if kind else "flat"


def _sample(folder: Path, rows: int, width: int, size: int) -> np.ndarray:
    """The same `size` rows every time, (size, d), read block by block."""
    wanted = np.zeros(rows, bool)
    wanted[np.random.default_rng(SEED).choice(rows, size, replace=False)] = True
    sample, filled = np.empty((size, width), np.float32), 0
    if size:
        at = 0
        for block in read_blocks(folder, width, 0, rows):
            kept = block[wanted[at : at + len(block)]]
            sample[filled : filled + len(kept)] = kept
            at, filled = at + len(block), filled + len(kept)
    return sample
