"""Exact search: every vector that may be found is compared."""

from __future__ import annotations

from typing import Any

import numpy as np
from realism.base.errors import RealismError

BLOCK = 16_384
"""Rows compared at a time: enough for a matrix product at full speed, 32 MiB at a width of 512."""


def exact_search(
    vectors: np.ndarray, queries: np.ndarray, k: int, allowed: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The k rows of (n, d) vectors of highest inner product with each of (q, d) queries, among those allowed.

    Returns (q, k) float32 and (q, k) int64, best first; -inf and -1 where there are fewer. Memory does not grow with n,
    also where the vectors are mapped from a file.
    """
    faiss = import_faiss()
    best = np.full((len(queries), k), -np.inf, np.float32)
    found = np.full((len(queries), k), -1, np.int64)
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK]
        rows = np.arange(start, start + len(block))
        if allowed is not None and not (mask := allowed[start : start + BLOCK]).all():
            block, rows = block[mask], rows[mask]
        if len(rows):
            here, at = faiss.knn(queries, block, min(k, len(rows)), metric=faiss.METRIC_INNER_PRODUCT)
            best, found = _best_of(np.hstack([best, here]), np.hstack([found, rows[at]]), k)
    return best, found


def rerank(vectors: np.ndarray, queries: np.ndarray, candidates: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best of (q, c) candidate rows for each query, by the exact inner product; candidates of -1 come last."""
    faiss = import_faiss()
    products = np.empty(candidates.shape, np.float32)
    pointers = [faiss.swig_ptr(a) for a in (products, queries, vectors, candidates)]
    faiss.fvec_inner_products_by_idx(*pointers, vectors.shape[1], *candidates.shape)
    return _best_of(np.where(candidates < 0, np.float32(-np.inf), products), candidates, k)


def _best_of(similarities: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    line = np.arange(len(order))[:, None]
    return similarities[line, order], rows[line, order]


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
