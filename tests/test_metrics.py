"""KID and FID, against torchmetrics' maths on the same features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from realism import RealismError, Retriever
from realism.base.features import FeatureRows
from realism.testing.material import unit_rows
from realism_rewards.distances import frechet, moments, polynomial_mmd
from realism_rewards.fid import Fid
from realism_rewards.kid import Kid
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd


@dataclass
class Nothing(Retriever):
    """An extractor that is never asked."""

    def embed_images(self, images):
        raise AssertionError

    def preprocessing(self):
        return "none"

    def encode_texts(self, texts):
        raise AssertionError


def features(n, d, seed, scale):
    random = np.random.default_rng(seed)
    return (scale * random.normal(size=(n, d)) @ random.normal(size=(d, d)) / d**0.5 + random.normal(size=d)).astype(
        "f4"
    )


SETS = {
    "n": st.integers(2, 120),
    "m": st.integers(2, 120),
    "d": st.integers(1, 60),
    "seed": st.integers(0, 2**16),
    "scale": st.sampled_from([1e-2, 1.0, 5.0]),
}


@settings(max_examples=60, deadline=None)
@given(**SETS)
def test_kid_is_torchmetrics(n, m, d, seed, scale):
    x, y = features(n, d, seed, scale), features(m, d, seed + 1, scale)
    x, y = x[: min(n, m)], y[: min(n, m)]
    x64, y64 = (torch.from_numpy(a.astype(np.float64)) for a in (x, y))
    assert polynomial_mmd(x, y) == pytest.approx(float(poly_mmd(x64, y64, 3, None, 1.0)), rel=1e-5, abs=1e-8)
    kid = Kid(Nothing()).measure(FeatureRows.of(x), FeatureRows.of(y))
    assert kid == pytest.approx(float(poly_mmd(x64, y64, 3, 1.0, 1.0)), rel=1e-5, abs=1e-8)


@settings(max_examples=60, deadline=None)
@given(**SETS)
def test_fid_is_torchmetrics(n, m, d, seed, scale):
    x, y = features(n, d, seed, scale), features(m, d, seed + 1, scale)
    stats = [
        (torch.from_numpy(a.mean(0)), torch.from_numpy(np.cov(a.T).reshape(d, d))) for a in map(np.float64, (x, y))
    ]
    wanted = float(_compute_fid(*stats[0], *stats[1]))
    assert frechet(moments([x]), moments([y])) == pytest.approx(wanted, rel=1e-5, abs=1e-5)


def test_kid_of_sets_of_different_size_is_the_double_sum():
    x, y = features(7, 5, 0, 1.0).astype(float), features(4, 5, 1, 1.0).astype(float)

    def kernel(a, b):
        return (a @ b / 5 + 1) ** 3

    within = np.mean([kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    other = np.mean([kernel(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    across = np.mean([kernel(a, b) for a in x for b in y])
    assert polynomial_mmd(x, y) == pytest.approx(within + other - 2 * across)


def test_kid_over_subsets_is_near_kid_of_the_whole_and_the_seed_decides_it():
    x, y = features(400, 8, 0, 1.0), features(300, 8, 5, 1.0)
    whole = Kid(Nothing()).measure(FeatureRows.of(x), FeatureRows.of(y))
    parts = Kid(Nothing(), subsets=200, subset_size=100).measure(FeatureRows.of(x), FeatureRows.of(y))
    assert whole == polynomial_mmd(x, y, gamma=1.0)
    assert parts == pytest.approx(whole, rel=0.1) and parts != whole
    assert Kid(Nothing(), subset_size=100, seed=1).measure(FeatureRows.of(x), FeatureRows.of(y)) != Kid(
        Nothing(), subset_size=100
    ).measure(FeatureRows.of(x), FeatureRows.of(y))


def test_kid_of_sets_alike_is_zero_on_average_however_few_they_are():
    values = [
        Kid(Nothing()).measure(FeatureRows.of(unit_rows(10, 4, i)), FeatureRows.of(unit_rows(10, 4, 1000 + i)))
        for i in range(300)
    ]
    assert abs(np.mean(values)) < 3 * np.std(values) / 300**0.5
    assert min(values) < 0


def test_fid_of_a_set_with_itself_is_zero_and_grows_as_it_moves_away():
    x = unit_rows(50, 60)
    assert Fid(Nothing()).measure(FeatureRows.of(x), FeatureRows.of(x)) == pytest.approx(0, abs=1e-9)
    assert Fid(Nothing()).measure(FeatureRows.of(x + 0.1), FeatureRows.of(x)) == pytest.approx(60 * 0.01, rel=1e-5)


@pytest.mark.parametrize("metric", [Kid(Nothing()), Fid(Nothing())])
def test_features_that_cannot_be_compared_are_refused(metric):
    with pytest.raises(RealismError, match="at least 2 images"):
        metric.measure(FeatureRows.of(unit_rows(1, 4)), FeatureRows.of(unit_rows(5, 4)))
    with pytest.raises(RealismError, match="features of 4 and 5 numbers"):
        metric.measure(FeatureRows.of(unit_rows(5, 4)), FeatureRows.of(unit_rows(5, 5)))
    with pytest.raises(RealismError, match="features of the real images are not all finite"):
        metric.measure(FeatureRows.of(unit_rows(5, 4)), FeatureRows.of(np.full((5, 4), np.nan, np.float32)))
