"""A graph of neighbours, walked towards the query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Le

from realism_retrievers.faiss_exact import import_faiss
from realism_retrievers.faiss_files import IndexInfo
from realism_retrievers.faiss_index import Approximate


@dataclass
class Hnsw(Approximate):
    """A graph of neighbours (HNSW, Malkov and Yashunin, arXiv 1603.09320): the quickest and surest where memory allows.

    Takes 4 d + 8 m bytes a row, which should stay in memory, as a walk touches pages everywhere. It is built by one
    thread: with several, the graph would differ from run to run.
    """

    kind: ClassVar[str] = "hnsw"
    threads: ClassVar[int | None] = 1

    m: Annotated[int, Ge(2), Le(1024)] = 32
    """Neighbours of a row; twice as many on the lowest level."""
    ef_construction: Annotated[int, Ge(1), Le(100_000)] = 100
    """Candidates kept when a row is added (efConstruction): more take longer to build and find a little more."""
    ef_search: Annotated[int, Ge(1), Le(100_000)] = 128
    """Candidates kept in a search (efSearch): more take longer and find more."""

    def sample_size(self, rows: int) -> int:
        return 0

    def trained(self, sample: np.ndarray, rows: int, width: int) -> Any:
        faiss = import_faiss()
        index = faiss.IndexHNSWFlat(width, self.m, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = self.ef_construction
        return index

    def rows_compared(self, info: IndexInfo, effort: float, share: float) -> float:
        return self.ef_search * effort * self.m

    def parameters(self, effort: float, selector: dict[str, Any]) -> Any:
        return import_faiss().SearchParametersHNSW(efSearch=round(self.ef_search * effort), **selector)


def hnsw_bytes(rows: int, width: int, m: int) -> int:
    """Bytes of an HNSW index: the vectors, 2 m neighbours and a little for the upper levels, and where they lie."""
    return round(rows * (4 * width + 4 * (2 * m + m / (m - 1)) + 12))
