"""Distances between two sets of features: the maths of KID and FID, in float64."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from realism.base.errors import RealismError


def polynomial_mmd(
    x: np.ndarray, y: np.ndarray, *, degree: int = 3, gamma: float | None = None, coef: float = 1.0
) -> float:
    """The unbiased estimate of the squared MMD under the kernel k(a, b) = (gamma a.b + coef) ** degree.

    x: (n, d), y: (m, d), n and m at least 2; gamma is 1 / d if None. It may be negative, as it is unbiased:
    sum_{i != j} k(x_i, x_j) / n(n-1) + sum_{i != j} k(y_i, y_j) / m(m-1) - 2 sum_{ij} k(x_i, y_j) / nm.
    Source: Gretton et al. 2012, eq. 3; Binkowski et al. 2018, section 4.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    gamma = 1 / x.shape[1] if gamma is None else gamma

    def total(a: np.ndarray, b: np.ndarray, *, diagonal: bool) -> float:
        base = gamma * (a @ b.T) + coef
        kernel = base.copy()
        for _ in range(degree - 1):  # a tenth of the time of base ** degree
            kernel *= base
        return float(kernel.sum() if diagonal else kernel.sum() - np.trace(kernel))

    n, m = len(x), len(y)
    within = total(x, x, diagonal=False) / (n * (n - 1)) + total(y, y, diagonal=False) / (m * (m - 1))
    return within - 2 * total(x, y, diagonal=True) / (n * m)


class Moments(NamedTuple):
    """Of a set of features: their number n, their mean (d,) and their covariance (d, d) with n - 1."""

    n: int
    mean: np.ndarray
    covariance: np.ndarray


def moments(blocks: Iterable[np.ndarray], name: str = "the set") -> Moments:
    """The moments of features that come in blocks (b, d), of which one is in memory at a time, in float64.

    Each block's own are joined to those before: Chan, Golub & LeVeque 1979, eq. 2.1. Raises RealismError, naming the
    set, for fewer than 2 rows, other widths, or numbers that are not finite.
    """
    n, mean, scatter = 0, np.zeros(0), np.zeros(0)
    for block in blocks:
        rows = block.astype(np.float64)
        if not len(rows):
            continue
        if rows.ndim != 2 or (n and rows.shape[1] != len(mean)):
            raise RealismError(f"features of {name} have shape {rows.shape}, unlike those before; expected (n, d)")
        if not np.isfinite(rows).all():
            raise RealismError(f"features of {name} are not all finite")
        m, centre = len(rows), rows.mean(0)
        spread = (rows - centre).T @ (rows - centre)
        if not n:
            n, mean, scatter = m, centre, spread
            continue
        gap = centre - mean
        scatter = scatter + spread + np.outer(gap, gap) * (n * m / (n + m))
        mean, n = mean + gap * (m / (n + m)), n + m
    if n < 2:
        raise RealismError(f"features of {name} are {n}; at least 2 images are needed")
    return Moments(n, mean, scatter / (n - 1))


def frechet(x: Moments, y: Moments) -> float:
    """The squared Frechet distance of two normal distributions, |mx - my|^2 + tr(Cx + Cy - 2 (Cx Cy)^(1/2)), 0 or more.

    With Cx = AA' and Cy = BB', the eigenvalues of Cx Cy are the squares of the singular values of A'B, so the trace of
    the root is their sum: covariances of low rank (n < d) do no harm. Raises RealismError for sets of unlike width.
    Source: Dowson & Landau 1982; Heusel et al. 2017.
    """
    if x.mean.shape != y.mean.shape:
        raise RealismError(f"features of {len(x.mean)} and {len(y.mean)} numbers cannot be compared")
    gap = x.mean - y.mean
    root = np.linalg.svd(_root(x.covariance).T @ _root(y.covariance), compute_uv=False).sum()
    return float(max(0.0, gap @ gap + np.trace(x.covariance) + np.trace(y.covariance) - 2 * root))


def _root(covariance: np.ndarray) -> np.ndarray:
    """(d, d), symmetric -> A (d, r) with AA' the same, without directions in which there is nothing."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > max(values[-1], 0) * len(values) * np.finfo(np.float64).eps
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))
