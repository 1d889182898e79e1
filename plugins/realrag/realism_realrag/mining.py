"""Reflective negatives: of each picture that the generator drew, the nearest database image that is not right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from realism.databases.database import Database
from realism.parts import Retriever

from .vectors import Vectors

FIRST = 16
"""Neighbours looked at first; more where all of them are near-duplicates of the positive."""


class Miner:
    """Mines the negatives of a database (RealRAG eq. 4)."""

    def __init__(
        self, retriever: Retriever, database: Database, classes: Iterable[str], near_duplicate: float, own_class: bool
    ):
        """classes: (n,) what each row shows. near_duplicate: a cosine; own_class: whether a negative may show what its
        positive shows."""
        self._retriever, self._index = retriever, database.folder / "index"
        self._vectors = Vectors(database.folder)
        known: dict[str, int] = {}
        self._classes = np.fromiter((known.setdefault(each, len(known)) for each in classes), np.int64)
        self._near_duplicate, self._own_class = near_duplicate, own_class

    def mine(self, drafts: np.ndarray, positive_rows: Sequence[int]) -> list[tuple[int, float] | None]:
        """For each draft (b, d), the row of its negative and their cosine; None where no image is left.

        positive_rows: (b,) the database row of each draft's positive. A negative is the database image nearest to the
        draft that is neither the positive nor its near-duplicate, nor, unless own_class, of its class.
        """
        positives = self._vectors.take(positive_rows)
        found: list[tuple[int, float] | None] = [None] * len(drafts)
        shown = self._classes[np.asarray(positive_rows)]
        for each in dict.fromkeys(shown.tolist()):
            allowed = None if self._own_class else self._classes != each
            waiting, k = np.flatnonzero(shown == each), min(FIRST, len(self._classes))
            while len(waiting):
                waiting = self._nearest(waiting, drafts, positives, positive_rows, allowed, k, found)
                if k >= len(self._classes):
                    break
                k = min(4 * k, len(self._classes))
        return found

    def _nearest(
        self,
        at: np.ndarray,
        drafts: np.ndarray,
        positives: np.ndarray,
        positive_rows: Sequence[int],
        allowed: np.ndarray | None,
        k: int,
        found: list[tuple[int, float] | None],
    ) -> np.ndarray:
        """Fill in what the k nearest give, and return which are still without."""
        queries, which = np.unique(drafts[at], axis=0, return_inverse=True)  # images of one text share drafts
        searched = self._retriever.index.search(self._index, queries, k, allowed)
        similarities, rows = (each[which.ravel()] for each in searched)
        left = []
        for i, line, scores in zip(at.tolist(), rows, similarities, strict=True):
            available = line >= 0
            vectors = self._vectors.take(np.where(available, line, 0))
            right = available & (line != positive_rows[i]) & (vectors @ positives[i] < self._near_duplicate)
            if right.any():
                best = int(np.argmax(right))
                found[i] = (int(line[best]), float(scores[best]))
            else:
                left.append(i)
        return np.asarray(left, np.int64)
