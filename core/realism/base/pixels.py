"""Pictures as an image encoder takes them: resized and cropped by Pillow as published, or in torch with a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from realism.base.errors import RealismError

if TYPE_CHECKING:
    import torch
    from PIL import Image


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes the input of an encoder: resized, cropped at the centre, normalised.

    `of_pixels` gives what `of_images` gives of the same picture but for Pillow's rounding to 8 bits: each colour
    differs by at most 1.5 / 255 before the normalisation.
    """

    side: int
    """Height and width of the result."""
    mean: tuple[float, ...]
    """What is subtracted from red, green and blue in [0, 1]."""
    std: tuple[float, ...]
    """What they are then divided by."""
    resize: Literal["shortest", "longest", "squash"] = "shortest"
    """The shortest side becomes `side` and the rest is cut off; or the longest does, between black bars; or both sides
    do, whatever the shape."""
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    crop: Literal["round", "floor"] = "round"
    """Where half a pixel is left over when cropping: as torchvision does, or as the transformers library does."""
    eight_bits: bool = True
    """Pillow resizes, and rounds to 8 bits; or torch does, pictures as well as pixels, in float, where a colour may
    overshoot."""

    def of_images(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """RGB images of any size -> (n, 3, side, side) float32."""
        import torch

        return torch.stack([self._of_image(image) for image in images])

    def of_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """RGB pixels (n, 3, H, W), float in [0, 1] -> (n, 3, side, side) float32, with a gradient to the pixels.

        Raises RealismError for pixels of another shape."""
        from torch.nn import functional

        if pixels.ndim != 4 or pixels.shape[1] != 3 or not pixels.is_floating_point():
            raise RealismError(
                f"pixels of shape {tuple(pixels.shape)} and type {pixels.dtype}: expected (n, 3, H, W), float in [0, 1]"
            )
        height, width = self._resized(*pixels.shape[2:])
        made = pixels.float()
        if made.shape[2:] != (height, width):
            made = functional.interpolate(made, (height, width), mode=self.interpolation, antialias=True)
            made = made.clamp(0, 1) if self.eight_bits else made
        top, left = self._corner(height), self._corner(width)
        bars = (-left, left + self.side - width, -top, top + self.side - height)  # what is below 0 is cut off
        return self._normalised(functional.pad(made, bars))

    def _of_image(self, image: Image.Image) -> torch.Tensor:
        import numpy as np
        import torch
        from PIL import Image

        image = image.convert("RGB")
        if not self.eight_bits:
            return self.of_pixels(torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255)[0]
        height, width = self._resized(image.height, image.width)
        made = image.resize((width, height), Image.Resampling[self.interpolation.upper()])
        top, left = self._corner(height), self._corner(width)
        made = made.crop((left, top, left + self.side, top + self.side))
        return self._normalised(torch.from_numpy(np.array(made)).permute(2, 0, 1).float() / 255)

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        """Height and width before the crop."""
        if self.resize == "squash":
            return self.side, self.side
        if self.resize == "longest":
            scale = self.side / max(height, width)
            return max(1, round(height * scale)), max(1, round(width * scale))
        short = min(height, width)
        return int(self.side * height / short), int(self.side * width / short)

    def _corner(self, length: int) -> int:
        """Where the crop begins along a side of that length; below 0, after a bar."""
        spare = length - self.side
        if spare < 0:
            return -(-spare // 2)
        return spare // 2 if self.crop == "floor" else round(spare / 2)

    def _normalised(self, colours: torch.Tensor) -> torch.Tensor:
        mean, std = (colours.new_tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        return (colours - mean) / std
