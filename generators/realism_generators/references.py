"""Images cropped and resized for a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from PIL import Image


def crop_to_size(image: Image.Image, width: int, height: int) -> Image.Image:
    """An RGB image of exactly that size in pixels: cropped at the centre to its proportions, then resized."""
    from PIL import Image, ImageOps

    return ImageOps.fit(image.convert("RGB"), (width, height), Image.Resampling.LANCZOS)


def fit_within(image: Image.Image, area: int, *, shortest: int, longest_ratio: int) -> Image.Image:
    """An RGB image in its own proportions, of `area` pixels at most and no side under `shortest`.

    Longer than `longest_ratio` times its width (or wider than that many times its height), its middle is taken.
    """
    image = image.convert("RGB")
    width, height = min(image.width, longest_ratio * image.height), min(image.height, longest_ratio * image.width)
    scale = max(min(1.0, (area / (width * height)) ** 0.5), shortest / min(width, height))
    size = (max(shortest, round(width * scale)), max(shortest, round(height * scale)))
    return image if size == image.size else crop_to_size(image, *size)


def as_pixels(images: Sequence[Image.Image]) -> torch.Tensor:
    """RGB images of one size as pixels (b, 3, h, w) float32 in [0, 1]."""
    import numpy as np
    import torch

    return torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2).float() / 255
