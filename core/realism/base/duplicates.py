"""Duplicates and near-duplicates of images, by hashes of their pixels and perceptual hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

SIDE = 64
FREQUENCIES = 16
BITS = FREQUENCIES**2
NEIGHBOURS = 16
"""How many of its nearest images each image is compared with; larger groups hang together by chains."""

Search = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]
"""Rows (q, d) and k -> cosines (q, k) and the nearest rows (q, k), -1 where there are fewer."""


@dataclass(frozen=True)
class DuplicateLimits:
    """When two images count as nearly the same: both must hold, as each by itself is also true of unlike images."""

    cosine: float
    """The least cosine of their vectors."""
    bits: int
    """The most bits, of 256, in which their perceptual hashes may differ."""


def pixel_hash(image: Image.Image) -> str:
    """32 hex digits that two RGB images share if, and only if, they have the same size and the same pixels."""
    return hashlib.blake2b(repr(image.size).encode() + image.tobytes(), digest_size=16).hexdigest()


def perceptual_hashes(image: Image.Image) -> np.ndarray:
    """(2, 4) uint64: the perceptual hash of an image, and that of its mirror image (left is right), in which the odd
    frequencies along the rows have the other sign. Each is 256 bits that change little when an image is scaled,
    compressed or brightened a little.

    The image in grey at 64 x 64 pixels, its cosine transform, and of the 16 x 16 lowest frequencies, row by row,
    whether each is above their median. Source: Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash
    Functions", which takes 8 x 8 frequencies of 32 x 32 pixels. Those 64 bits do not tell two drawings of one kind of
    scene from one drawing saved twice: on the garden's renders, copies (JPEG, 3/4 of the size, 10 % brighter) differ by
    up to 9 % of the bits and different renders by 3 % and more; of these 256, by up to 20 bits and by 22 and more.
    Photographs saved anew differ by up to 8 bits (15 % brighter: 18; 1 % cut off at each side: 28, 2 %: 54); of
    Oxford's flowers, those which stand twice in the set differ by up to 8 and all others by 36 and more, nearly always
    by more than 100. A grey copy has the same hash. One turned by 90 or 180 degrees or upside down is another image.
    """
    from scipy.fft import dctn

    small = image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    low = dctn(np.asarray(small, np.float64), norm="ortho")[:FREQUENCIES, :FREQUENCIES]
    low = low.round(6)  # in a plain image all but the first are zero, give or take rounding
    mirrored = low * np.where(np.arange(FREQUENCIES) % 2, -1, 1)
    return np.stack([np.packbits(each > np.median(each)).view("<u8") for each in (low, mirrored)])


def differing_bits(ours: np.ndarray, others: np.ndarray) -> np.ndarray:
    """In how many bits perceptual hashes (n, 4) and (n, 4) differ, row by row: (n,) int."""
    return np.bitwise_count(ours ^ others).sum(axis=-1, dtype=np.int64)


def all_differing_bits(ours: np.ndarray, others: np.ndarray) -> np.ndarray:
    """In how many bits each of (n, 4) perceptual hashes differs from each of (m, 4): (n, m) float32, whole numbers.

    As a product of matrices of -1 and 1, which takes a fraction of the time of counting bits pair by pair."""
    return (BITS - _signs(ours) @ _signs(others).T) / 2


def _signs(hashes: np.ndarray) -> np.ndarray:
    bits = np.unpackbits(np.ascontiguousarray(hashes).view(np.uint8), axis=-1)
    return 2 * bits.astype(np.float32) - 1


def groups(blocks: Iterable[np.ndarray], hashes: np.ndarray, search: Search, limits: DuplicateLimits) -> np.ndarray:
    """Which of n images are near-duplicates, directly or by way of others: (n,) int, the same number for a group.

    blocks: their vectors, (m, d) each, in order. hashes: their perceptual hashes (n, 4). search: finds the nearest
    of all n. Each is compared with its NEIGHBOURS nearest, so the cost grows as the search does and not with n^2.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    start, ones, others = 0, [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for block in blocks:
        cosines, found = search(block, min(NEIGHBOURS + 1, len(hashes)))
        row, column = np.nonzero((found >= 0) & (cosines >= limits.cosine))
        left, right = start + row, found[row, column]
        near = differing_bits(hashes[left], hashes[right]) <= limits.bits
        ones.append(left[near])
        others.append(right[near])
        start += len(block)
    left, right = np.concatenate(ones), np.concatenate(others)
    edges = coo_array((np.ones(len(left), bool), (left, right)), shape=(len(hashes), len(hashes)))
    return np.asarray(connected_components(edges, directed=False)[1])
