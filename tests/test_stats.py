"""Intervals, against scipy's and against loops that are plain to read."""

import math

import numpy as np
import pytest
import scipy.stats
from realism.base.stats import bootstrap_difference, bootstrap_groups, bootstrap_mean


def test_the_interval_of_a_mean_is_scipys():
    values = np.random.default_rng(0).gamma(2.0, size=200)
    ours = bootstrap_mean(values, seed=1, resamples=20_000)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert ours.mean == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.01) and ours.high == pytest.approx(theirs.high, abs=0.01)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    values = np.random.default_rng(0).normal(size=50)
    assert bootstrap_mean(values, seed=3) == bootstrap_mean(list(values), seed=3)
    assert bootstrap_mean(values, seed=3) != bootstrap_mean(values, seed=4)


def test_whole_prompts_are_resampled():
    random = np.random.default_rng(0)
    effect, sizes = random.normal(size=30), random.integers(1, 6, 30)
    values = np.concatenate([e + 0.1 * random.normal(size=n) for e, n in zip(effect, sizes, strict=True)])
    groups = np.repeat(np.arange(30), sizes)
    means, members = [], [values[groups == g] for g in range(30)]
    for _ in range(5000):
        means.append(np.concatenate([members[g] for g in random.integers(0, 30, 30)]).mean())
    ours = bootstrap_groups(values, groups, resamples=20_000)
    assert ours.mean == pytest.approx(values.mean())
    assert ours.low == pytest.approx(np.quantile(means, 0.025), abs=0.05)
    assert ours.high == pytest.approx(np.quantile(means, 0.975), abs=0.05)
    assert ours.high - ours.low > 1.5 * np.ptp(bootstrap_mean(values)[1:]), "clusters should widen the interval"


def test_one_value_a_prompt_is_the_plain_bootstrap():
    values = np.random.default_rng(0).normal(size=40)
    assert bootstrap_groups(values, [f"p{i}" for i in range(40)], seed=5) == bootstrap_mean(values, seed=5)


def test_a_difference_is_paired_by_prompt():
    random = np.random.default_rng(0)
    hardness = 10 * random.normal(size=60)
    prompts = [f"p{i}" for i in range(60)]
    ours = bootstrap_difference(hardness + 1 + 0.1 * random.normal(size=60), prompts, hardness[::-1], prompts[::-1])
    assert ours.mean == pytest.approx(1, abs=0.05)
    assert 0.9 < ours.low < ours.high < 1.1


def test_prompts_that_only_one_side_has_are_left_out():
    ours = bootstrap_difference([1.0, 2.0, 90.0], ["a", "b", "c"], [0.0, 0.5, -50.0], ["a", "b", "d"])
    assert ours.mean == pytest.approx(1.25)


def test_values_that_are_not_there_are_left_out():
    nan = float("nan")
    assert bootstrap_mean([1.0, nan, 3.0]) == bootstrap_mean([1.0, 3.0])
    assert bootstrap_groups([1.0, nan, 3.0], ["a", "b", "c"]).mean == 2.0


def test_too_little_to_resample_has_no_interval():
    assert math.isnan(bootstrap_mean([]).mean)
    one = bootstrap_groups([1.0, 2.0], ["a", "a"])
    assert one.mean == 1.5 and math.isnan(one.low) and math.isnan(one.high)


def test_answers_that_are_all_alike_have_wilsons_interval():
    theirs = scipy.stats.binomtest(48, 48).proportion_ci(method="wilson")
    assert bootstrap_mean([1.0] * 48)[1:] == pytest.approx((theirs.low, theirs.high))
    none = bootstrap_groups([0.0] * 40, [f"p{i // 4}" for i in range(40)])
    theirs = scipy.stats.binomtest(0, 10).proportion_ci(method="wilson")
    assert none == pytest.approx((0.0, theirs.low, theirs.high)), "each prompt is one answer"
    assert bootstrap_mean([3.0] * 5) == (3.0, 3.0, 3.0)


def test_a_difference_of_answers_that_are_all_alike_has_newcombes_interval():
    prompts = [f"p{i}" for i in range(10)]
    found = bootstrap_difference([1.0] * 10, prompts, [0.0] * 10, prompts)
    low = scipy.stats.binomtest(10, 10).proportion_ci(method="wilson").low
    assert found == pytest.approx((1.0, 1 - 2**0.5 * (1 - low), 1.0))
    same = bootstrap_difference([1.0] * 10, prompts, [1.0] * 10, prompts)
    assert same.mean == 0 and same.low == -same.high == pytest.approx(low - 1)
