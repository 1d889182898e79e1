"""The kernel distance of two sets of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le
from realism.base.errors import RealismError
from realism.parts import ImageEncoder, SetMetric

if TYPE_CHECKING:
    import numpy as np
    from realism.parts.metric import Features


@dataclass
class Kid(SetMetric):
    """KID: unbiased squared MMD with the kernel (x.y + 1)^3, averaged over random subsets. Binkowski et al. 2018.

    The paper's kernel is (x.y / d + 1)^3, on Inception features, whose length grows with the root of d: it is the one
    for encoders such as `inception`. Features of length 1 are not divided by d, which would leave the kernel flat.
    Unbiased whatever the number of images, so it may fall below 0. Compare within one encoder only.
    """

    encoder: ImageEncoder
    """Extracts the features; use another one than retrieval did."""
    subsets: Annotated[int, Ge(1), Le(10_000)] = 10
    """How many pairs of random subsets are averaged."""
    subset_size: Annotated[int, Ge(2), Le(1_000_000)] = 1000
    """Images in a subset. Where both sets are no larger, they are taken whole, and once."""
    seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0
    """Chooses the subsets."""

    def measure(self, features: Features, real: Features) -> float:
        """See `SetMetric.measure`. Subsets are drawn without replacement; of a set smaller than `subset_size` all."""
        import numpy as np

        from realism_rewards.distances import polynomial_mmd

        n, m = min(self.subset_size, len(features)), min(self.subset_size, len(real))
        if n == len(features) and m == len(real):
            every = features.take(np.arange(n)), real.take(np.arange(m))
            check_features(*every)
            return polynomial_mmd(*every, gamma=self._gamma(every[0]))
        random = np.random.default_rng(self.seed)
        values = []
        for _ in range(self.subsets):
            chosen = features.take(random.permutation(len(features))[:n])
            some = real.take(random.permutation(len(real))[:m])
            check_features(chosen, some)
            values.append(polynomial_mmd(chosen, some, gamma=self._gamma(chosen)))
        return float(np.mean(values))

    def _gamma(self, features: np.ndarray) -> float:
        return 1.0 if self.encoder.unit_length else 1 / features.shape[1]


def check_features(features: np.ndarray, real: np.ndarray) -> None:
    """Raises RealismError unless both are (n, d) with one d, finite, and have at least 2 rows."""
    check_rows(features, "the set")
    check_rows(real, "the real images")
    if features.shape[1] != real.shape[1]:
        raise RealismError(f"features of {features.shape[1]} and {real.shape[1]} numbers cannot be compared")


def check_rows(rows: np.ndarray, name: str) -> None:
    """Raises RealismError unless rows, called by that name, are (n, d), at least 2, and finite."""
    import numpy as np

    if rows.ndim != 2 or len(rows) < 2:
        raise RealismError(f"features of {name} have shape {rows.shape}; expected (n, d) with at least 2 images")
    if not np.isfinite(rows).all():
        raise RealismError(f"features of {name} are not all finite")
