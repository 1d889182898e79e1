"""What every metric of a set must do."""

from __future__ import annotations

import math

from realism.base.features import FeatureRows
from realism.parts import Retriever, SetMetric
from realism.parts.returned import number_error
from realism.testing.material import unit_rows
from realism.testing.part import PartSuite


class SetMetricSuite(PartSuite):
    """The contract of `realism.SetMetric`."""

    def test_it_names_its_extractor(self, part: SetMetric) -> None:
        assert isinstance(part.encoder, Retriever), "a metric has the option `encoder: Retriever`"

    def test_the_same_sets_give_the_same_number(self, part: SetMetric) -> None:
        sets = FeatureRows.of(unit_rows(50, 8)), FeatureRows.of(unit_rows(40, 8, seed=1))
        first, second = part.measure(*sets), part.measure(*sets)
        assert (error := number_error("measure", first)) is None, error
        assert first == second, f"measured twice, it gives {first} and {second}"

    def test_sets_that_are_alike_are_nearer_than_sets_that_are_not(self, part: SetMetric) -> None:
        real = unit_rows(100, 8)
        alike, unlike = unit_rows(100, 8, seed=1), unit_rows(100, 8, seed=2)
        unlike[:, 0] = abs(unlike[:, 0]) + 1
        near, far = (part.measure(FeatureRows.of(rows), FeatureRows.of(real)) for rows in (alike, unlike))
        better = near > far if part.higher_is_better else near < far
        assert better, f"sets that are alike give {near:.4g}, sets that are not {far:.4g}: is higher_is_better right?"

    def test_it_measures_sets_of_the_least_size_it_states(self, part: SetMetric) -> None:
        value = part.measure(*(FeatureRows.of(unit_rows(part.least, 8, seed)) for seed in (0, 1)))
        assert math.isfinite(value), f"sets of {part.least} images, the least it states, give {value}"
