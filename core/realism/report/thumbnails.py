"""Small copies of pictures as data URIs, so that the page needs no other file."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from realism.base.images import NOT_THERE, TooLarge, UnreadableImage, read_image

LARGEST = 256
TINY = 128
"""Pictures up to this size are kept exact and shown enlarged with crisp pixels."""
MAX_PIXELS = 50_000_000
"""What is decoded at most for a thumbnail, 150 MB; JPEG, which can be decoded small, stays far below it."""
HOT = (230, 30, 20)
"""The colour of a heatmap at its highest."""


@dataclass(frozen=True)
class Thumbnail:
    """A picture ready to embed; `missing` says in words why there is none (then uri is "")."""

    uri: str = ""
    width: int = 1
    height: int = 1
    tiny: bool = False
    missing: str = ""


def thumbnail(path: Path, largest: int = LARGEST) -> Thumbnail:
    """The picture at `path`, no side above `largest`. A file that is gone or broken is noted, never raised: a report
    must still come out when somebody has moved the database."""
    try:
        image = read_image(path, max(largest, TINY + 1), MAX_PIXELS)
    except TooLarge:
        return Thumbnail(missing="too large to show")
    except UnreadableImage as error:
        return Thumbnail(missing="not there" if error.reason == NOT_THERE else "cannot be read")
    tiny = max(image.size) <= TINY
    image.thumbnail((largest, largest), Image.Resampling.LANCZOS)
    return Thumbnail(encode(image), *image.size, tiny=tiny)


def heated(path: Path, heat: Path, largest: int = LARGEST) -> Thumbnail:
    """The picture at `path` with a heatmap over it: red where that is white, the picture alone where it is black."""
    try:
        image = read_image(path, max(largest, TINY + 1), MAX_PIXELS)
        mask = read_image(heat).convert("L")
    except UnreadableImage:
        return Thumbnail(missing="not there")
    image.thumbnail((largest, largest), Image.Resampling.LANCZOS)
    mask = mask.resize(image.size, Image.Resampling.BILINEAR).point(lambda value: value * 3 // 4)
    grey = image.convert("L").convert("RGB")
    made = Image.composite(Image.new("RGB", image.size, HOT), grey, mask)
    return Thumbnail(encode(made), *image.size, tiny=max(image.size) <= TINY)


def encode(image: Image.Image) -> str:
    """PNG or WebP, whichever is smaller, as a data URI. A tiny picture is kept exact: each pixel will be seen."""
    tiny = max(image.size) <= TINY
    webp, png = io.BytesIO(), io.BytesIO()
    image.save(webp, "WEBP", lossless=tiny, quality=100 if tiny else 84, method=4)
    image.save(png, "PNG", optimize=tiny)
    kind, data = min((("webp", webp.getvalue()), ("png", png.getvalue())), key=lambda pair: len(pair[1]))
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
