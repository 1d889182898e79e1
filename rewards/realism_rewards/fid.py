"""The Frechet distance of two sets of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from realism.parts import ImageEncoder, SetMetric

if TYPE_CHECKING:
    from realism.parts.metric import Features


@dataclass
class Fid(SetMetric):
    """FID: Frechet distance of the normal distributions of two sets of features. Heusel et al. 2017.

    It is biased upwards when images are few (a common rule is 2,048 at least): compare sets of equal number only, and
    see KID. Papers give it on `inception`; compare within one encoder only.
    """

    unbiased_from: ClassVar[int] = 2048

    encoder: ImageEncoder
    """Extracts the features; use another one than retrieval did."""

    def measure(self, features: Features, real: Features) -> float:
        """See `SetMetric.measure`. Of both sets only the moments are kept."""
        from realism_rewards.distances import frechet, moments

        return frechet(moments(features.blocks(), "the set"), moments(real.blocks(), "the real images"))
