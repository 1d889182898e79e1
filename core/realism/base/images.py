"""Reading images of any kind, in threads, without being taken down by a bad one."""

from __future__ import annotations

import io
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from realism.base.errors import RealismError
from realism.base.files import write_aside
from realism.base.machine import of_machine
from realism.base.tars import read_member, split_member

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF")
"""What is read. Formats that run interpreters or other programs (EPS, PDF) are not."""
MOST_PIXELS = 100_000_000
"""Images of which more would have to be decoded are set aside by their header, before any pixel is."""
NOT_THERE = "it is not there"

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # MOST_PIXELS takes its place


class UnreadableImage(RealismError):
    """An image that cannot be used: `path`, and `reason` in a few words."""

    def __init__(self, path: Path, reason: str):
        self.path, self.reason = path, reason
        super().__init__(f"{path} cannot be read: {reason}")


class TooLarge(UnreadableImage):
    """An image with more pixels than may be decoded."""

    def __init__(self, path: Path, most_pixels: int):
        super().__init__(path, f"it has more than {most_pixels // 10**6} million pixels")


def open_image_file(path: Path | str) -> BinaryIO:
    """The bytes of an image, to be closed: of a file, or of a member of a plain tar, as in /data/00000.tar/000123.jpg.

    Whatever looks at the files of records, and not at their pixels, opens them with this. Raises OSError if there is no
    such file or member, and RealismError if the tar is damaged."""
    path = Path(path)
    try:
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        if (member := split_member(path)) is None:
            raise
    return io.BytesIO(read_member(*member))


def read_image(path: Path | str, max_side: int | None = None, most_pixels: int = MOST_PIXELS) -> Image.Image:
    """The image as RGB: turned as its EXIF says, transparency on white, 16 bits scaled to 8, the first frame.

    path may lead into a plain tar: /data/00000.tar/000123.jpg. max_side: images with a longer side (pixels) are shrunk
    to it, in proportion; None leaves all as they are. Raises UnreadableImage, and nothing else, for whatever is wrong
    with the file; TooLarge is the kind for more than `most_pixels`. Raises OSError where too many files are open.
    """
    path = Path(path)
    try:
        with open_image_file(path) as file:
            return _decode(path, file, max_side, most_pixels)
    except UnreadableImage:
        raise
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise UnreadableImage(path, NOT_THERE) from None
    except Image.DecompressionBombError:
        raise TooLarge(path, most_pixels) from None
    except UnidentifiedImageError:
        raise UnreadableImage(path, "it is no image of a known format") from None
    except Exception as error:
        if of_machine(error) and not isinstance(error, PermissionError):
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UnreadableImage(path, reason) from error


def read_images(
    paths: Iterable[Path | str], workers: int = 4, ahead: int | None = None, max_side: int | None = None
) -> Iterator[Image.Image | UnreadableImage]:
    """The images of the paths, in order, read by `workers` threads while the caller works; an UnreadableImage in the
    place of each that cannot be read. At most `ahead` images (4 a worker if None) are held before they are taken."""
    ahead = ahead or 4 * workers
    with ThreadPoolExecutor(workers, thread_name_prefix="read_images") as pool:
        waiting: deque[Future[Image.Image | UnreadableImage]] = deque()
        try:
            for path in paths:
                waiting.append(pool.submit(_try_read, path, max_side))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def image_bytes(image: Image.Image) -> bytes:
    """The RGB image as PNG, pixels only: equal pixels give equal bytes (with one build of Pillow)."""
    bare = Image.frombytes("RGB", image.size, image.convert("RGB").tobytes())
    buffer = io.BytesIO()
    bare.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def _decode(path: Path, file: BinaryIO, max_side: int | None, most_pixels: int) -> Image.Image:
    if not file.read(1):
        raise UnreadableImage(path, "the file is empty")
    file.seek(0)
    with Image.open(file, formats=_formats()) as image:
        if max_side:
            image.draft("RGB", (max_side, max_side))  # JPEG is decoded at a fraction of its size
        if image.width * image.height > most_pixels:
            raise TooLarge(path, most_pixels)
        image.load()
        if max_side and max(image.size) > max_side and not image.mode.startswith("I"):
            image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
        return _to_rgb(_upright(image))


def write_images(paths: Sequence[Path], images: Sequence[Image.Image], workers: int = 4) -> None:
    """Write each image to its path as PNG, whole or not at all, by `workers` threads."""
    with ThreadPoolExecutor(workers, thread_name_prefix="write_images") as pool:
        list(pool.map(_write, paths, images))


def _write(path: Path, image: Image.Image) -> None:
    with write_aside(path) as aside:
        aside.write_bytes(image_bytes(image))


def _formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _try_read(path: Path | str, max_side: int | None) -> Image.Image | UnreadableImage:
    try:
        return read_image(path, max_side)
    except UnreadableImage as error:
        return error


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF does not spoil the pixels
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _grey_to_rgb(np.asarray(image))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    rgb = image.convert("RGB")
    return rgb if rgb is not image else image.copy()


def _grey_to_rgb(values: np.ndarray) -> Image.Image:
    """(h, w) grey: 16-bit integers, or floats in [0, 1] or [0, 255] -> RGB."""
    grey: np.ndarray = values.astype(np.float32)
    if values.dtype.kind != "f" and (values.dtype.itemsize == 2 or grey.max(initial=0) > 255):
        grey = grey / 257
    elif values.dtype.kind == "f" and np.nanmax(grey, initial=0) <= 1:
        grey = grey * 255
    whole = np.nan_to_num(grey, nan=0.0, posinf=255.0, neginf=0.0).round().clip(0, 255)
    return Image.fromarray(whole.astype(np.uint8)).convert("RGB")
