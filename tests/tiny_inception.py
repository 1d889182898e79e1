"""Random weights of the Inception network of FID, which has one size only."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file


def weights() -> dict[str, torch.Tensor]:
    """Weights by the names of the published files, with statistics of batches that keep features apart from layer to
    layer."""
    from torchvision.models import inception_v3

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = inception_v3(num_classes=1008, aux_logits=False, weights=None, init_weights=False)
        tensors = network.state_dict()
        for name, tensor in tensors.items():
            if name.endswith("conv.weight"):
                torch.nn.init.kaiming_normal_(tensor)
            if name.endswith("running_mean"):
                tensor.normal_(0, 0.1)
    return {name: tensor.clone() for name, tensor in tensors.items()}


def save(path: Path) -> Path:
    """Write them to a file."""
    save_file(weights(), path)
    return path
