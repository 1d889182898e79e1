"""The features that FID is published with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le
from realism.base.batching import Batches
from realism.base.devices import pick_device
from realism.parts import ImageEncoder

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image

FILE = "inception.safetensors"


@dataclass
class Inception(ImageEncoder):
    """Features (n, 2048) of the Inception network of FID, of any length: what `fid` and `kid` take for the numbers that
    papers publish.

    Equal to those of pytorch-fid 0.3.0 and torch-fidelity 0.4.0 on the same weights, to 1e-4 of the largest; tested
    with random weights, as the published ones could not be reached where this was written.
    Source: Heusel et al. 2017, arXiv 1706.08500; Szegedy et al. 2016, arXiv 1512.00567.
    """

    unit_length: ClassVar[bool] = False
    speed_options: ClassVar[tuple[str, ...]] = ("batch", "device")

    weights: str
    """The weights: pt_inception-2015-12-05-6726825d.pth of pytorch-fid, or
    weights-inception-2015-12-05-6726825d.pth of torch-fidelity, a folder with inception.safetensors in it, or
    'owner/name/file' of the hub."""
    preset: Literal["pytorch-fid", "torch-fidelity"] = "pytorch-fid"
    """Whose resizing it takes: they differ by half a pixel, and so do the numbers. Papers name one of the two, or the
    TensorFlow code, which torch-fidelity follows."""
    device: str = "auto"
    """auto (CUDA if there, else cpu), cpu, cuda, cuda:1, ..."""
    batch: Annotated[int, Ge(1), Le(10_000)] | None = None
    """Images at a time; None is found by itself. Halved whenever memory runs out."""

    def inputs(self) -> list[Path]:
        from realism_rewards.weights import local_weights

        path = None if self.options_error() else local_weights(self.weights, FILE)
        return [path] if path else []

    def options_error(self) -> str | None:
        from realism_rewards.weights import weights_error

        return weights_error(self.weights, FILE)

    def preprocessing(self) -> str:
        return f"bilinear to 299 x 299, as {self.preset} does it"

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        import numpy as np

        rows = self._batches.run(images, self._rows)
        return np.stack(rows) if rows else np.empty((0, 0), np.float32)

    def _rows(self, images: list[Image.Image]) -> list[np.ndarray]:
        """Each image is resized by itself, as sizes may differ."""
        import torch

        from realism_rewards.inception_network import prepare

        with torch.inference_mode():
            prepared = torch.cat([prepare(_pixels(image), self.preset) for image in images])
            return list(self._network(prepared.to(pick_device(self.device))).cpu().numpy())

    @cached_property
    def _network(self) -> Any:
        from realism_rewards.inception_network import inception_network
        from realism_rewards.weights import read_weights

        network = inception_network(read_weights(self.weights, FILE), self.weights)
        return network.to(pick_device(self.device))

    @cached_property
    def _batches(self) -> Batches:
        return Batches(self.batch)

    def release(self) -> None:
        self.__dict__.pop("_network", None)


def _pixels(image: Image.Image) -> torch.Tensor:
    """An image as pixels (1, 3, h, w) uint8."""
    import numpy as np
    import torch

    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None]
