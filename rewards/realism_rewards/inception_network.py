"""The Inception network of FID, as TensorFlow's graph of 2015 computes it, and the two ways of giving it pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from realism.base.errors import RealismError
from torch.nn import functional
from torchvision.models import inception

if TYPE_CHECKING:
    from collections.abc import Mapping

SIDE = 299
"""Pixels a side of what the network takes."""
CLASSES = 1008
WIDTH = 2048
"""Numbers of a feature: those of the last pooling."""


class _PoolA(inception.InceptionA):
    def _forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [*super()._forward(x)[:-1], self.branch_pool(_average(x))]


class _PoolC(inception.InceptionC):
    def _forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [*super()._forward(x)[:-1], self.branch_pool(_average(x))]


class _PoolE(inception.InceptionE):
    def _forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [*super()._forward(x)[:-1], self.branch_pool(_average(x))]


class _MaximumE(inception.InceptionE):
    def _forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [*super()._forward(x)[:-1], self.branch_pool(functional.max_pool2d(x, 3, 1, 1))]


def _average(x: torch.Tensor) -> torch.Tensor:
    """The mean of each pixel's neighbours; beyond the edge there is none, where torchvision counts zeros."""
    return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def inception_network(tensors: Mapping[str, torch.Tensor], file: str) -> torch.nn.Module:
    """The network with the weights of a file as pytorch-fid and torch-fidelity publish it, frozen: pixels
    (n, 3, 299, 299) float32 in [-1, 1] -> features (n, 2048).

    It is torchvision's but for its pooling: means leave out what lies beyond the edge, and the last block takes the
    maximum. Raises RealismError, naming the file, if the weights are those of another network.
    """
    blocks = [
        inception.BasicConv2d, _PoolA, inception.InceptionB, _PoolC, inception.InceptionD, _PoolE,
        inception.InceptionAux,
    ]  # fmt: skip
    network = inception.Inception3(CLASSES, aux_logits=False, inception_blocks=blocks, init_weights=False)
    network.Mixed_7c = _MaximumE(WIDTH)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    optional = {name for name in expected if name.endswith("num_batches_tracked")}
    given = {name: tuple(tensor.shape) for name, tensor in tensors.items() if name not in optional}
    if given != {name: shape for name, shape in expected.items() if name not in optional}:
        raise RealismError(
            f"weights: {file} does not hold the Inception network of FID; take pt_inception-2015-12-05-6726825d.pth of "
            "pytorch-fid, or weights-inception-2015-12-05-6726825d.pth of torch-fidelity"
        )
    network.load_state_dict(dict(tensors), strict=False)
    network.fc = torch.nn.Identity()  # what is wanted is what it takes
    return network.eval().requires_grad_(False)


def resize_like_tensorflow(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """Pixels (n, c, h, w) float -> (n, c, side, side), bilinear as TensorFlow 1 does it: pixel i of the result lies at
    i * h / side of the source, which is half a pixel off from where others put it."""
    for axis in (2, 3):
        size = pixels.shape[axis]
        places = torch.arange(side, dtype=torch.float64) * (size / side)
        before = places.floor().long().clamp(max=size - 1)
        after = (before + 1).clamp(max=size - 1)
        weight = (places - before).to(pixels.dtype).to(pixels.device)
        weight = weight.reshape([-1 if a == axis else 1 for a in range(4)])
        low, high = (pixels.index_select(axis, at.to(pixels.device)) for at in (before, after))
        pixels = low + weight * (high - low)
    return pixels


def prepare(pixels: torch.Tensor, as_in: str) -> torch.Tensor:
    """Pictures (n, 3, h, w) uint8 -> what the network takes, (n, 3, 299, 299) float32 in [-1, 1].

    as_in: "pytorch-fid" (bilinear with torch's places, 2 x - 1 of x in [0, 1]) or "torch-fidelity" (bilinear with
    TensorFlow's places, (x - 128) / 128 of x in [0, 255], as the graph of 2015 does)."""
    if as_in == "torch-fidelity":
        return (resize_like_tensorflow(pixels.float(), SIDE) - 128) / 128
    resized = functional.interpolate(pixels.float() / 255, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    return 2 * resized - 1
