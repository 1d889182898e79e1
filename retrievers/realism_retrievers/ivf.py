"""Rows sorted into lists by their nearest centroid; the nearest lists are searched."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Le
from realism.base.errors import RealismError

from realism_retrievers.faiss_exact import import_faiss
from realism_retrievers.faiss_files import IndexInfo
from realism_retrievers.faiss_index import Approximate, omp_threads

SAMPLED = 40
"""Rows a centroid is trained on: FAISS warns below 39, and more gained nothing here."""
CODE_BITS = 8
LINKS = 32
"""Neighbours of a centroid in the graph that finds the nearest centroids."""


@dataclass
class IvfFlat(Approximate):
    """Inverted lists of whole vectors (FAISS IndexIVFFlat): quick to build, and well searched straight from a disk.

    Takes 4 d + 8 bytes a row. A search reads the lists it needs from end to end.
    """

    kind: ClassVar[str] = "ivf_flat"

    nlist: Annotated[int, Ge(1), Le(10_000_000)] | None = None
    """Lists; None is the power of two nearest to 4 sqrt(rows)."""
    nprobe: Annotated[int, Ge(1), Le(1_000_000)] = 64
    """Lists searched for a query: more take longer and find more."""

    def sample_size(self, rows: int) -> int:
        return SAMPLED * lists(rows, self.nlist)

    def trained(self, sample: np.ndarray, rows: int, width: int) -> Any:
        faiss = import_faiss()
        centroids = k_means(sample, lists(rows, self.nlist))
        coarse = faiss.IndexFlatIP(width)
        coarse.add(centroids)
        index = faiss.IndexIVFFlat(coarse, width, len(centroids), faiss.METRIC_INNER_PRODUCT)
        index.train(centroids)  # nothing is left to train but to say so
        return index

    def rows_compared(self, info: IndexInfo, effort: float, share: float) -> float:
        return info.rows * share * self.nprobe * effort / lists(info.trained, self.nlist)

    def parameters(self, effort: float, selector: dict[str, Any]) -> Any:
        return import_faiss().SearchParametersIVF(nprobe=round(self.nprobe * effort), **selector)


@dataclass
class IvfPq(Approximate):
    """Inverted lists of short codes (FAISS OPQ, IVF with an HNSW of centroids, PQ): for millions of images.

    Only `code` + 8 bytes a row are held when it is built, and searched; the best are ranked again by their whole
    vectors, which stay on the disk.
    """

    kind: ClassVar[str] = "ivf_pq"
    threads: ClassVar[int | None] = 1
    widened: ClassVar[int] = 10

    nlist: Annotated[int, Ge(1), Le(10_000_000)] | None = None
    """Lists; None is the power of two nearest to 4 sqrt(rows)."""
    nprobe: Annotated[int, Ge(1), Le(1_000_000)] = 64
    """Lists searched for a query: more take longer and find more."""
    code: Annotated[int, Ge(1), Le(4096)] = 64
    """Bytes of a code; a quarter of the width is the most that is used."""

    def sample_size(self, rows: int) -> int:
        return max(SAMPLED * lists(rows, self.nlist), SAMPLED * 2**CODE_BITS)

    def trained(self, sample: np.ndarray, rows: int, width: int) -> Any:
        faiss = import_faiss()
        code = max(1, min(self.code, width // 4))
        narrow = min(width, 4 * code)  # four numbers a byte: fewer take long to train and bring nothing
        turn = faiss.OPQMatrix(width, code, narrow)
        # a rough turn is enough where whole vectors decide in the end; all it could do takes minutes
        turn.niter, turn.niter_pq_0, turn.max_train_points = 5, 10, SAMPLED * 2**CODE_BITS
        with omp_threads(1):  # with several, sums come out a little different for each number of them
            turn.train(sample)
            turned = turn.apply(sample)
        centroids = k_means(turned, lists(rows, self.nlist))
        coarse = faiss.IndexHNSWFlat(narrow, LINKS, faiss.METRIC_INNER_PRODUCT)
        coarse.hnsw.efSearch = 2 * LINKS
        index = faiss.IndexIVFPQ(coarse, narrow, len(centroids), code, CODE_BITS, faiss.METRIC_INNER_PRODUCT)
        index.pq.cp.max_points_per_centroid = SAMPLED
        with omp_threads(1):
            coarse.add(centroids)
            index.train(turned)
        return faiss.IndexPreTransform(turn, index)

    def rows_compared(self, info: IndexInfo, effort: float, share: float) -> float:
        return info.rows * share * self.nprobe * effort / lists(info.trained, self.nlist)

    def parameters(self, effort: float, selector: dict[str, Any]) -> Any:
        faiss = import_faiss()
        nprobe = round(self.nprobe * effort)
        nearest = faiss.SearchParametersHNSW(efSearch=2 * nprobe)
        inner = faiss.SearchParametersIVF(nprobe=nprobe, quantizer_params=nearest, **selector)
        return faiss.SearchParametersPreTransform(index_params=inner)


def lists(rows: int, nlist: int | None) -> int:
    """How many lists so many rows are sorted into: what was asked for, or the power of two nearest to 4 sqrt(rows).

    Raises RealismError if there are too few rows for what was asked for.
    """
    if nlist and nlist > rows // SAMPLED:
        raise RealismError(f"nlist {nlist} is too many for {rows:,} rows; expected {rows // SAMPLED} or fewer, or none")
    return nlist or 2 ** round(math.log2(4 * math.sqrt(rows)))


def k_means(sample: np.ndarray, count: int) -> np.ndarray:
    """(count, d) centroids of length 1 of an (s, d) sample; on the GPU if FAISS was built for one and there is one."""
    faiss = import_faiss()
    gpu = getattr(faiss, "get_num_gpus", int)() > 0
    clustering = faiss.Kmeans(
        sample.shape[1], count, niter=10, spherical=True, gpu=gpu, min_points_per_centroid=1, seed=1234
    )
    clustering.train(sample)
    return clustering.centroids
