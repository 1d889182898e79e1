"""Images of the database that a recipe also evaluates against: what is retrieved must not be what is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from realism.base.duplicates import DuplicateLimits, all_differing_bits
from realism.parts import Images, parts_of
from realism.parts.embedder import KeyedRow
from realism.parts.step import Step

BLOCK = 1024
"""Evaluation images that are compared at a time."""
COPY = DuplicateLimits(cosine=0.8, bits=24)
"""What counts as a copy.

Measured on 180 of Oxford's flowers and 220 renders of the garden, with garden/clip and garden/judge. Copies (JPEG of
quality 50, 3/4 of the size, 10 and 15 % brighter), mirrored or not, differ by up to 20 bits, and their vectors have
cosines of 0.77 and more: of each kind at least 99.5 % are found; with 1 % cut off at each side 99 %, with 2 % 21 to
51 %, with 5 % none. Of all pairs of 1,680 renders 5 that are no copies differ by 20 to 24 bits, mirrored or not, all of
one species in like scenes. The cosine keeps apart what differs in colour alone, plain pictures above all; so of grey
copies (cosines from -0.5 up) 9 % at most are found. None are found that were turned by 90 or 180 degrees or upside down
(100 bits and more), unless their EXIF says so. A mirrored copy is compared with the mirrored evaluation image, as the
vectors of an image and its mirror image have cosines from 0.58 up.
"""


def evaluation_sets(steps: Iterable[Step]) -> list[Images]:
    """The collections that a recipe evaluates against, each once: the options that its steps, rewards and other
    parts name in `evaluates_against`."""
    found: list[Images] = []
    for step in steps:
        for part in parts_of(step):
            for option in part.evaluates_against:
                real = getattr(part, option)
                if isinstance(real, Images) and real not in found:
                    found.append(real)
    return found


class Leaks:
    """Finds in a database the images that are evaluated against.

    An image is one of them if it has the same pixels (the same file, a link to it, a copy of any name), or if it is
    nearly the same, as it is or mirrored: perceptual hash and vector alike at once. An equal id says nothing by itself:
    ids are paths from different roots, and "rose/1.jpg" may stand for two photographs.

    There are two views of each evaluated image: number i is image i as it is, and m + i image i mirrored.
    """

    def __init__(self, evaluated: Sequence[tuple[str, KeyedRow]], hashes: np.ndarray):
        """evaluated: m images, each with the name of the part that lists it; hashes: (m, 2, 4), the perceptual ones of
        both views."""
        self._evaluated, self._hashes = evaluated, np.concatenate([hashes[:, 0], hashes[:, 1]])
        self._by_pixels = {row.key: i for i, (_, row) in reversed(list(enumerate(evaluated)))}

    def suspected(self, hashes: Iterable[np.ndarray]) -> np.ndarray:
        """The views (s,), in order, whose perceptual hash is like one of these, (n, 4) at a time, of the database: only
        their vectors are needed."""
        found = np.zeros(len(self._hashes), bool)
        for some in hashes:
            for at in _blocks(len(found)):
                bits = all_differing_bits(some, self._hashes[at])
                found[at] |= (bits <= COPY.bits).any(axis=0)
        return np.flatnonzero(found)

    def among(
        self,
        rows: Sequence[KeyedRow],
        hashes: np.ndarray,
        vectors: np.ndarray,
        suspected: np.ndarray,
        theirs: np.ndarray,
    ) -> dict[int, str]:
        """Which of n images of a database are evaluated against: position -> which one it is, in words.

        rows, hashes (n, 4) and vectors (n, d) are those of the n images; theirs (s, d) are those of the suspected
        views.
        """
        found: dict[int, str] = {}
        nearest = np.full(len(rows), COPY.cosine)
        for at in _blocks(len(suspected)):
            bits = all_differing_bits(hashes, self._hashes[suspected[at]])
            cosines = np.where(bits <= COPY.bits, vectors @ theirs[at].T, -np.inf)
            best = cosines.argmax(axis=1)
            for i in np.flatnonzero(cosines.max(axis=1) >= nearest).tolist():
                nearest[i] = cosines[i, best[i]]
                image, mirrored = self.view(suspected[at][best[i]])
                how = f"nearly the same: cosine {nearest[i]:.3f}, {bits[i, best[i]]:.0f} of 256 bits differ"
                found[i] = self._said(image, f"mirrored, and {how}" if mirrored else how)
        for i, row in enumerate(rows):
            if (same := self._by_pixels.get(row.key)) is not None:
                one_file = os.path.realpath(row.path) == os.path.realpath(self._evaluated[same][1].path)
                found[i] = self._said(same, "the same file" if one_file else "the same pixels")
        return found

    def view(self, number: int) -> tuple[int, bool]:
        """The image of a view, and whether it is mirrored."""
        return int(number) % len(self._evaluated), bool(number >= len(self._evaluated))

    def _said(self, which: int, how: str) -> str:
        source, row = self._evaluated[which]
        return f"leak: it is image {row.id} of '{source}', which is evaluated against ({how})"


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, n, BLOCK))
