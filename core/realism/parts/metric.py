"""Metrics of a set of images against another."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from realism.parts.base import Part
from realism.parts.retriever import Retriever

if TYPE_CHECKING:
    import numpy as np


class SetMetric(Part):
    """A distance between two sets of images, measured on features of a named extractor.

    A subclass has the field `encoder: Retriever`, the extractor, so that the report can say which one it was.
    """

    family = "metric"
    higher_is_better: ClassVar[bool] = False
    least: ClassVar[int] = 2
    """The fewest images a set must have."""
    unbiased_from: ClassVar[int] = 0
    """The number of images below which the metric is biased, by a common rule; 0 for one that never is."""
    encoder: Retriever

    @abstractmethod
    def measure(self, features: np.ndarray, real: np.ndarray) -> float:
        """Features (n, d) of the set and (m, d) of the real images -> the distance. Computed in float64."""
