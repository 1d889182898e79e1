"""The features of FID are those of the two packages that publish its network, on the same weights and pictures."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_inception
import torch
from realism import RealismError
from realism.base.features import FeatureRows
from realism_rewards.inception import Inception
from realism_rewards.inception_network import inception_network, prepare, resize_like_tensorflow
from realism_rewards.kid import Kid

SIZES = [(64, 64), (299, 299), (400, 300)]


@pytest.fixture(scope="module")
def weights():
    return tiny_inception.weights()


def pictures(height: int, width: int) -> torch.Tensor:
    random = np.random.default_rng(height)
    return torch.from_numpy(random.integers(0, 256, (2, 3, height, width), dtype=np.uint8))


@pytest.mark.parametrize("size", SIZES)
def test_features_are_those_of_pytorch_fid(weights, monkeypatch, size):
    from pytorch_fid import inception

    monkeypatch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: weights)
    theirs = inception.InceptionV3([3]).eval()(pictures(*size).float() / 255)[0].flatten(1)
    ours = inception_network(weights, "w.pth")(prepare(pictures(*size), "pytorch-fid"))
    torch.testing.assert_close(ours, theirs, atol=1e-4 * float(theirs.abs().max()), rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_features_are_those_of_torch_fidelity(weights, tmp_path, size):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    torch.save(weights, tmp_path / "w.pth")
    reference = FeatureExtractorInceptionV3(
        "inception", ["2048"], feature_extractor_weights_path=str(tmp_path / "w.pth")
    )
    [theirs] = reference(pictures(*size))
    ours = inception_network(weights, "w.pth")(prepare(pictures(*size), "torch-fidelity"))
    torch.testing.assert_close(ours, theirs, atol=1e-4 * float(theirs.abs().max()), rtol=0)


def test_the_resize_is_tensorflows_and_not_torchs():
    line = torch.arange(4.0).reshape(1, 1, 1, 4).expand(1, 1, 4, 4)
    assert resize_like_tensorflow(line, 8)[0, 0, 0].tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]


def test_weights_of_another_network_are_refused(weights):
    other = {**weights, "fc.weight": torch.zeros(1000, 2048)}
    with pytest.raises(RealismError, match=r"w\.pth does not hold the Inception network of FID"):
        inception_network(other, "w.pth")


def test_kid_of_features_of_any_length_has_the_kernel_of_its_paper():
    from torchmetrics.image.kid import poly_mmd

    random = np.random.default_rng(0)
    ours, real = (random.normal(shift, 1, (40, 2048)).astype(np.float32) for shift in (0.1, 0))
    value = Kid(Inception("w.pth")).measure(FeatureRows.of(ours), FeatureRows.of(real))
    theirs = poly_mmd(torch.from_numpy(ours).double(), torch.from_numpy(real).double())
    assert value == pytest.approx(float(theirs), rel=1e-6)
