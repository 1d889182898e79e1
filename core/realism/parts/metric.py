"""Metrics of a set of images against another."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Protocol

from realism.parts.base import Part
from realism.parts.retriever import ImageEncoder

if TYPE_CHECKING:
    import numpy as np


class Features(Protocol):
    """Features (n, d) of a set of images, not all of which need be in memory at a time."""

    def __len__(self) -> int:
        """How many images, n."""

    def take(self, at: np.ndarray) -> np.ndarray:
        """The rows (len(at), d) float32 at these places, each place as often as it is named."""

    def blocks(self) -> Iterator[np.ndarray]:
        """All rows, a block (b, d) float32 at a time."""


class SetMetric(Part):
    """A distance between two sets of images, measured on features of a named extractor.

    A subclass has the field `encoder: ImageEncoder`, the extractor, so that the report can say which one it was. It is
    measured a hundred times anew for its interval, so its memory should not grow with the sets: take blocks one by one
    (moments, as FID does) or no more than a few thousand rows (as KID does).
    """

    family = "metric"
    suite = "realism.testing:SetMetricSuite"
    higher_is_better: ClassVar[bool] = False
    least: ClassVar[int] = 2
    """The fewest images a set must have."""
    unbiased_from: ClassVar[int] = 0
    """The number of images below which the metric is biased, by a common rule; 0 for one that never is."""
    encoder: ImageEncoder

    @abstractmethod
    def measure(self, features: Features, real: Features) -> float:
        """Features (n, d) of the set and (m, d) of the real images -> the distance. Computed in float64."""
