"""Images of any mode as RGB, with little memory besides their own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
from PIL import ExifTags, Image

TILE = 2**11
"""Pixels of a side: of modes with more than 8 bits, so much is converted at a time."""
TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings an image upright, by its EXIF orientation."""


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """How an opened image is to be turned; None if it is upright, or its EXIF damaged, as its pixels are not."""
    with contextlib.suppress(Exception):
        return TURNED.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return None


def flat(image: Image.Image) -> Image.Image:
    """The image in 8 bits a channel and without transparency, of mode L or RGB: transparency on white, 16 bits scaled
    to 8, floats of [0, 1] or [0, 255]. It may be the image itself."""
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return _grey(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        clear = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(clear, mask=clear)
        return white
    return image.convert("RGB")


def _grey(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits, or of floats, as L."""
    kind = np.asarray(image.crop((0, 0, 1, 1))).dtype
    scale = 1.0
    if kind.kind != "f" and (kind.itemsize == 2 or _highest(image) > 255):
        scale = 1 / 257
    elif kind.kind == "f" and _highest(image) <= 1:
        scale = 255.0
    made = Image.new("L", image.size)
    for box, values in _tiles(image):
        whole = np.nan_to_num(values.astype(np.float32) * scale, nan=0.0, posinf=255.0, neginf=0.0)
        made.paste(Image.fromarray(whole.round().clip(0, 255).astype(np.uint8)), box)
    return made


def _highest(image: Image.Image) -> float:
    return max((float(np.nanmax(values, initial=0)) for _, values in _tiles(image)), default=0.0)


def _tiles(image: Image.Image) -> Iterator[tuple[tuple[int, int, int, int], np.ndarray]]:
    """Boxes that cover the image, and the values (h, w) in each."""
    for top in range(0, image.height, TILE):
        for left in range(0, image.width, TILE):
            box = (left, top, min(left + TILE, image.width), min(top + TILE, image.height))
            yield box, np.asarray(image.crop(box))
