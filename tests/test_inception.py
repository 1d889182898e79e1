"""The features of FID are those of the two packages that publish its network, on the same weights and pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from realism import RealismError
from realism_rewards.inception_network import inception_network, prepare, resize_like_tensorflow

SIZES = [(64, 64), (299, 299), (400, 300)]


@pytest.fixture(scope="module")
def weights():
    """Random weights, with statistics of batches that keep features apart from layer to layer."""
    from torchvision.models import inception_v3

    torch.manual_seed(0)
    network = inception_v3(num_classes=1008, aux_logits=False, weights=None, init_weights=True)
    for name, tensor in network.state_dict().items():
        if name.endswith("conv.weight"):
            torch.nn.init.kaiming_normal_(tensor)
        if name.endswith("running_mean"):
            tensor.normal_(0, 0.1)
    return {name: t for name, t in network.state_dict().items() if not name.endswith("num_batches_tracked")}


def pictures(height: int, width: int) -> torch.Tensor:
    random = np.random.default_rng(height)
    return torch.from_numpy(random.integers(0, 256, (2, 3, height, width), dtype=np.uint8))


@pytest.mark.parametrize("size", SIZES)
def test_features_are_those_of_pytorch_fid(weights, monkeypatch, size):
    from pytorch_fid import inception

    monkeypatch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: _with_counts(weights))
    theirs = inception.InceptionV3([3]).eval()(pictures(*size).float() / 255)[0].flatten(1)
    ours = inception_network(weights, "w.pth")(prepare(pictures(*size), "pytorch-fid"))
    torch.testing.assert_close(ours, theirs, atol=1e-4 * float(theirs.abs().max()), rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_features_are_those_of_torch_fidelity(weights, tmp_path, size):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    torch.save(_with_counts(weights), tmp_path / "w.pth")
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


def _with_counts(weights):
    """The published files hold the counts of batches, too."""
    counts = {n.replace("running_mean", "num_batches_tracked"): torch.tensor(0) for n in weights if "running_mean" in n}
    return {**weights, **counts}
