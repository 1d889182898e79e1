"""Rows of numbers that need not all be in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

BLOCK = 1024
"""Rows in memory at a time."""

Take = Callable[[np.ndarray], np.ndarray]
"""Places (k,) int64 -> the rows (k, d) float32 there."""


class FeatureRows:
    """n rows, read by `take` when they are asked for. A `realism.parts.metric.Features`."""

    def __init__(self, take: Take, at: np.ndarray):
        """at: (n,) int64, the place of each row, for `take`."""
        self._take, self._at = take, at

    @classmethod
    def of(cls, rows: np.ndarray) -> FeatureRows:
        """Those of an array (n, d)."""
        return cls(lambda at: rows[at], np.arange(len(rows)))

    def __len__(self) -> int:
        return len(self._at)

    def take(self, at: np.ndarray) -> np.ndarray:
        """The rows (len(at), d) at these places."""
        return self._take(self._at[at])

    def blocks(self) -> Iterator[np.ndarray]:
        """All rows, in order, a block (b, d) at a time."""
        return (self._take(self._at[start : start + BLOCK]) for start in range(0, len(self._at), BLOCK))

    def only(self, at: np.ndarray) -> FeatureRows:
        """The rows at these places, each as often as it is named; none is read yet."""
        return FeatureRows(self._take, self._at[at])
