"""One recipe with several seeds gives one table, with intervals over seeds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from realism.data.rows import Measure
from realism.runs.seeds import mean_interval, pool
from scipy import stats

ROW = Measure("species", "real", "novel", 0.5, 0.4, 0.6, 20, control="none", difference=0.1, detail={"seed": 0})


def by_seed(*values: float) -> list[list[Measure]]:
    return [
        [replace(ROW, value=v, difference=v / 5, difference_low=-1.0, difference_high=1.0, detail={"seed": i})]
        for i, v in enumerate(values)
    ]


def test_the_interval_is_students_over_seeds():
    values = [0.5, 0.6, 0.4, 0.55]
    [row] = pool(by_seed(*values))
    wanted = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (row.value, row.low, row.high) == pytest.approx((np.mean(values), *wanted), abs=1e-12)
    assert row.difference == pytest.approx(np.mean(values) / 5)
    assert row.n == 80
    [photographs] = pool(by_seed(*values), shared={"real"})
    assert photographs.n == 20, "of an arm that is the same for all seeds, each image counts once"
    assert row.detail["seeds"] == [0, 1, 2, 3]


def test_where_all_seeds_agree_the_interval_over_prompts_is_kept():
    [row] = pool(by_seed(1.0, 1.0, 1.0))
    assert (row.value, row.low, row.high) == (1.0, 0.4, 0.6)
    assert (row.difference_low, row.difference_high) == (-1.0, 1.0)


def test_the_interval_of_a_share_stays_within_0_and_1():
    shares = [[replace(rows[0], detail={"seed": i, "unit": "share"})] for i, rows in enumerate(by_seed(0.9, 1.0))]
    [row] = pool(shares)
    assert row.value == 0.95 and row.high == 1.0 and row.low > 0


def test_arms_groups_and_extractors_are_not_mixed():
    rows = [[ROW, replace(ROW, arm="zero"), replace(ROW, group="known"), replace(ROW, detail={"extractor": "other"})]]
    assert len(pool(rows * 2)) == 4


def test_what_was_not_measured_is_left_out():
    assert mean_interval([math.nan, 2.0, 4.0])[0] == 3.0
    assert all(math.isnan(v) for v in mean_interval([math.nan]))
    assert mean_interval([2.0])[0] == 2.0 and math.isnan(mean_interval([2.0])[1])
