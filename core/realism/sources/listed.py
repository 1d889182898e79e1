"""What all sources of images have in common: a licence, and a share of what is listed."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le

from realism.base.errors import RealismError
from realism.base.files import user_path
from realism.data.types import Record
from realism.parts import Images

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".avif")
"""How the names of images end, in any case."""

Share = Annotated[float, Ge(0), Le(1)]


class AtPath:
    """A source whose option `path` names the file or the folder it reads."""

    path: str

    @property
    def place(self) -> Path:
        """The path, with "~" resolved."""
        return user_path(self.path)

    def inputs(self) -> list[Path]:
        return [self.place]


@dataclass
class ListedImages(Images):
    """Images that can be listed one by one; a subclass says how, and this takes the share that is wanted."""

    licence: str = field(default="", kw_only=True)
    """The licence of all images whose metadata names none."""
    share: tuple[Share, Share] = field(default=(0.0, 1.0), kw_only=True)
    """Which images, by a hash of their ids in 0 to 1: [0, 0.8] and [0.8, 1] have none in common."""

    @abstractmethod
    def problem(self) -> str | None:
        """One sentence if what the options name is not there, else None. Must be quick."""

    @abstractmethod
    def listed(self) -> Iterator[Record]:
        """All images, one by one, each id once. Raises RealismError for what only a look into the files shows."""

    def options_error(self) -> str | None:
        if self.share[0] >= self.share[1]:
            return f"share {list(self.share)} holds nothing: the first number must be the smaller one"
        return self.problem()

    def records(self) -> Iterator[Record]:
        if problem := self.options_error():
            raise RealismError(problem)
        count = kept = 0
        for count, record in enumerate(self.listed(), 1):  # noqa: B007 - counted for the message
            if self.share[0] <= _place(record.id) < self.share[1]:
                kept += 1
                if self.licence and "licence" not in record.metadata:
                    record = replace(record, metadata={**record.metadata, "licence": self.licence})
                yield record
        if count and not kept:
            raise RealismError(f"none of the {count} images lies in share {list(self.share)}; widen it")


def path_in_table(place: str, row: dict[str, Any], column: str) -> str:
    """Take the path of an image from a row of a table. Raises RealismError, naming the place, if it is none."""
    file = row.pop(column, None)
    if not isinstance(file, str) or not file.strip():
        raise RealismError(f"{place}: no path in column '{column}'")
    if "://" in file:
        raise RealismError(f"{place}: '{file}' is an address; download the images and name their files")
    if "\0" in file:
        raise RealismError(f"{place}: the path {file!r} has a zero byte in it; correct it")
    return file


def inside(folder: Path, name: str) -> Path:
    """A file that a list in the folder names. Raises RealismError if it points outside of the folder."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise RealismError(f"'{name}' points outside of '{folder}'; correct the list that names it")
    return folder / name


def _place(id: str) -> float:
    """A number in [0, 1) that only the id decides."""
    return int.from_bytes(hashlib.blake2b(id.encode(errors="surrogatepass"), digest_size=6).digest(), "big") / 2**48
