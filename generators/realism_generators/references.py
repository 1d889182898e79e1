"""Reference images made to fit what a pipeline takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image


def filling(image: Image.Image, width: int, height: int) -> Image.Image:
    """An RGB image of just that size: cut in the middle to its proportions, then scaled."""
    from PIL import Image, ImageOps

    return ImageOps.fit(image.convert("RGB"), (width, height), Image.Resampling.LANCZOS)


def within(image: Image.Image, area: int, *, shortest: int, longest_ratio: int) -> Image.Image:
    """An RGB image in its own proportions, of `area` pixels at most and no side under `shortest`.

    Longer than `longest_ratio` times its width (or wider than that many times its height), its middle is taken.
    """
    image = image.convert("RGB")
    width, height = min(image.width, longest_ratio * image.height), min(image.height, longest_ratio * image.width)
    scale = max(min(1.0, (area / (width * height)) ** 0.5), shortest / min(width, height))
    size = (max(shortest, round(width * scale)), max(shortest, round(height * scale)))
    return image if size == image.size else filling(image, *size)
