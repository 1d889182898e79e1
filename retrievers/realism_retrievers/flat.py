"""Exact search over all vectors."""

from __future__ import annotations

from dataclasses import dataclass

from realism_retrievers.faiss_index import Approximate, FaissIndex


@dataclass
class Flat(FaissIndex):
    """Every vector is compared: exact, and right up to some hundred thousand images.

    Takes no more memory to build or to search than one block; the file holds 4 d bytes a row (0.2 GB for 100,000 of
    512).
    """

    def chosen(self, rows: int, width: int) -> Approximate | None:
        return None
