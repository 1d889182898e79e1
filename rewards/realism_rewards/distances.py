"""Distances between two sets of features: the maths of KID and FID, in float64."""

from __future__ import annotations

import numpy as np


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
        kernel = (gamma * (a @ b.T) + coef) ** degree
        return float(kernel.sum() if diagonal else kernel.sum() - np.trace(kernel))

    n, m = len(x), len(y)
    within = total(x, x, diagonal=False) / (n * (n - 1)) + total(y, y, diagonal=False) / (m * (m - 1))
    return within - 2 * total(x, y, diagonal=True) / (n * m)


def frechet(x: np.ndarray, y: np.ndarray) -> float:
    """The squared Frechet distance of the normal distributions fitted to two sets of features; at least 0.

    x: (n, d), y: (m, d), n and m at least 2; covariances with n - 1: |mx - my|^2 + tr(Cx + Cy - 2 (Cx Cy)^(1/2)).
    With Cx = A'A and Cy = B'B, the eigenvalues of Cx Cy are the squares of the singular values of A B', so the trace of
    the root is their sum: no root of a matrix is taken, and covariances of low rank (n < d) do no harm.
    Source: Dowson & Landau 1982; Heusel et al. 2017.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    gap = x.mean(0) - y.mean(0)
    a, b = _root(x), _root(y)
    spread = (a**2).sum() + (b**2).sum() - 2 * np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(max(0.0, gap @ gap + spread))


def _root(x: np.ndarray) -> np.ndarray:
    """(n, d) -> A of at most d rows with A'A the covariance of x."""
    centred = (x - x.mean(0)) / np.sqrt(len(x) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r")) if len(x) > x.shape[1] else centred
