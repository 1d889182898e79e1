"""Reading images of any kind, in threads, without being taken down by a bad one."""

from __future__ import annotations

import contextlib
import io
import threading
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from realism.base.errors import RealismError
from realism.base.files import atomic_write, regular
from realism.base.machine import is_machine_error
from realism.base.modes import flat, turn_of
from realism.base.tars import read_member, split_member

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF")
"""What is read. Formats that run interpreters or other programs (EPS, PDF) are not."""
MAX_PIXELS = 100_000_000
"""Images of which more would have to be decoded are skipped by their header, before any pixel is."""
MAX_BYTES = 2**30
"""Larger files are not looked into: some formats are read whole before anything is known of them."""
NOT_THERE = "it is not there"

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # MAX_PIXELS takes its place


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
    such file or member, or something that is no file, and RealismError if the tar is damaged."""
    path = Path(path)
    try:
        return regular(path).open("rb")
    except (FileNotFoundError, NotADirectoryError):
        if (member := split_member(path)) is None:
            raise
    return io.BytesIO(read_member(*member))


def read_image(path: Path | str, max_side: int | None = None, most_pixels: int = MAX_PIXELS) -> Image.Image:
    """The image as RGB: turned as its EXIF says, transparency on white, 16 bits scaled to 8, the first frame.

    path may lead into a plain tar: /data/00000.tar/000123.jpg. max_side: images with a longer side (pixels) are shrunk
    to it, in proportion; None leaves all as they are. Raises UnreadableImage, and nothing else, for whatever is wrong
    with the file; TooLarge is the kind for more than `most_pixels`. Raises OSError where too many files are open.
    However many threads call this, about MAX_PIXELS are decoded at a time, at up to 12 bytes each.
    """
    path = Path(path)
    try:
        with open_image_file(path) as file:
            return _decode(path, file, max_side, most_pixels)
    except UnreadableImage:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise UnreadableImage(path, NOT_THERE) from None
    except Image.DecompressionBombError:
        raise TooLarge(path, most_pixels) from None
    except UnidentifiedImageError:
        raise UnreadableImage(path, "it is no image of a known format") from None
    except Exception as error:
        if is_machine_error(error) and not isinstance(error, PermissionError):
            raise
        words = (isinstance(error, OSError) and error.strerror) or str(error).strip() or type(error).__name__
        raise UnreadableImage(path, words.splitlines()[0]) from error


def read_images(
    paths: Iterable[Path | str], workers: int = 4, ahead: int | None = None, max_side: int | None = None
) -> Iterator[Image.Image | UnreadableImage]:
    """The images of the paths, in order, read by `workers` threads while the caller works; an UnreadableImage in the
    place of each that cannot be read. At most `ahead` images (4 a worker if None) wait to be taken, and
    reading pauses while those have MAX_PIXELS or more."""
    ahead = ahead or 4 * workers
    buffer = _ReadBuffer()
    with ThreadPoolExecutor(workers, thread_name_prefix="read_images") as pool:
        waiting: deque[Future[Image.Image | UnreadableImage]] = deque()
        try:
            for number, path in enumerate(paths):
                waiting.append(pool.submit(buffer.read, number, path, max_side))
                if len(waiting) > ahead:
                    yield buffer.taken(waiting.popleft().result())
            while waiting:
                yield buffer.taken(waiting.popleft().result())
        finally:
            buffer.close()
            for future in waiting:
                future.cancel()


class _ReadBuffer:
    """The images that `read_images` has read and that are not taken yet."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._next = self._pixels = 0  # the number of the image that is taken next; pixels of those that wait
        self._closed = False

    def read(self, number: int, path: Path | str, max_side: int | None) -> Image.Image | UnreadableImage:
        """An image, as soon as there is room for it, or it is the next."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or number <= self._next or self._pixels < MAX_PIXELS)
        image = _try_read(path, max_side)
        with self._changed:
            self._pixels += _pixels(image)
        return image

    def taken(self, image: Image.Image | UnreadableImage) -> Image.Image | UnreadableImage:
        with self._changed:
            self._next += 1
            self._pixels -= _pixels(image)
            self._changed.notify_all()
        return image

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _pixels(image: Image.Image | UnreadableImage) -> int:
    return image.width * image.height if isinstance(image, Image.Image) else 0


def image_bytes(image: Image.Image) -> bytes:
    """The RGB image as PNG, pixels only: equal pixels give equal bytes (with one build of Pillow)."""
    bare = Image.frombytes("RGB", image.size, image.convert("RGB").tobytes())
    buffer = io.BytesIO()
    bare.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def _decode(path: Path, file: BinaryIO, max_side: int | None, most_pixels: int) -> Image.Image:
    size = file.seek(0, io.SEEK_END)
    if not size:
        raise UnreadableImage(path, "the file is empty")
    if size > MAX_BYTES:
        raise UnreadableImage(path, f"the file is larger than {MAX_BYTES // 2**20:,} MiB")
    file.seek(0)
    with Image.open(file, formats=_formats()) as image:
        pixels = _pixels(image)
        if max_side:
            image.draft("RGB", (max_side, max_side))  # JPEG is decoded at a fraction of its size
        if not image.info.get("progressive"):  # which is decoded at full size
            pixels = _pixels(image)
        if pixels > most_pixels:
            raise TooLarge(path, most_pixels)
        with _decoding.room(pixels):
            image.load()
            turn = turn_of(image)
            made = flat(image)
            if max_side and max(made.size) > max_side:
                made.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
            if turn is not None:
                made = made.transpose(turn)
            return made.copy() if made is image and made.mode == "RGB" else made.convert("RGB")


class _Budget:
    """So many pixels, for all threads together."""

    def __init__(self, pixels: int):
        self._most = self._left = pixels
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def room(self, pixels: int) -> Iterator[None]:
        """Wait until so many are free, and hold them. More than there are is all of them."""
        pixels = min(pixels, self._most)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= pixels)
            self._left -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._left += pixels
                self._changed.notify_all()


_decoding = _Budget(MAX_PIXELS)


def of_one_colour(image: Image.Image) -> bool:
    """Whether all pixels of an RGB image are equal."""
    return all(low == high for low, high in image.getextrema())  # type: ignore[misc]


def write_images(paths: Sequence[Path], images: Sequence[Image.Image], workers: int = 4) -> None:
    """Write each image to its path as PNG atomically, by `workers` threads. Folders that are missing are made."""
    for folder in {path.parent for path in paths}:
        folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(workers, thread_name_prefix="write_images") as pool:
        list(pool.map(_write, paths, images))


def _write(path: Path, image: Image.Image) -> None:
    with atomic_write(path) as temporary:
        temporary.write_bytes(image_bytes(image))


def _formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _try_read(path: Path | str, max_side: int | None) -> Image.Image | UnreadableImage:
    try:
        return read_image(path, max_side)
    except UnreadableImage as error:
        return error
