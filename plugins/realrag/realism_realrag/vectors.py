"""The rows of an indexed database, mapped from its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from realism.base.errors import RealismError

if TYPE_CHECKING:
    import numpy as np


class Vectors:
    """Rows of img_emb/*.npy by number, none of them kept in memory."""

    def __init__(self, folder: Path):
        import numpy as np

        self._parts = [np.load(path, mmap_mode="r") for path in sorted((folder / "img_emb").glob("*.npy"))]
        if not self._parts:
            raise RealismError(f"no vectors in '{folder}'; build the index first")
        self._ends: list[int] = []
        for part in self._parts:
            self._ends.append(len(part) + (self._ends[-1] if self._ends else 0))

    def __len__(self) -> int:
        return self._ends[-1]

    def take(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """The rows of these numbers, (len(rows), d) float32."""
        import numpy as np

        wanted = np.asarray(rows, dtype=np.int64)
        found = np.empty((len(wanted), self._parts[0].shape[1]), np.float32)
        of_part = np.searchsorted(self._ends, wanted, side="right")
        for number in np.unique(of_part):
            here = of_part == number
            begin = self._ends[number - 1] if number else 0
            found[here] = self._parts[number][wanted[here] - begin]
        return found
