"""Images from a folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from realism.errors import RealismError
from realism.nouns import Record
from realism.parts import Images
from realism.sources.rows import read_rows

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".avif")
TABLES = ("metadata.parquet", "metadata.csv", "metadata.jsonl")


Share = Annotated[float, Ge(0), Le(1)]


@dataclass
class ImageFolder(Images):
    """All images under a folder, sorted by path.

    A file metadata.csv, .parquet or .jsonl in the folder says more of them: column `file` (relative to the folder),
    and any of `subject` (or `species`), `caption`, `licence`, `source`, ... Images it does not name are used as well.
    """

    path: str
    """The folder, absolute or relative to the working folder."""
    labels: Literal["folder", "none"] = "folder"
    """Where the subject of an image comes from, unless the metadata says it: the name of the sub-folder it lies in, or
    nowhere."""
    licence: str = ""
    """The licence of all images for which the metadata names none."""
    share: tuple[Share, Share] = (0.0, 1.0)
    """Which images, by a hash of their ids in 0 to 1: [0, 0.8] and [0.8, 1] have none in common."""

    def inputs(self) -> list[Path]:
        return [self.folder]

    def options_error(self) -> str | None:
        return None if self.folder.is_dir() else f"no image folder '{self.path}'"

    @property
    def folder(self) -> Path:
        """The folder, with "~" resolved."""
        return Path(self.path).expanduser()

    def records(self) -> Iterator[Record]:
        if problem := self.options_error():
            raise RealismError(problem)
        folder = self.folder
        known = _metadata(folder)
        count = 0
        for path in _images(folder):
            relative = path.relative_to(folder)
            metadata = dict(known.get(relative.as_posix(), {}))
            subject = metadata.pop("subject", metadata.pop("species", None))
            if subject is None:
                subject = relative.parent.name if self.labels == "folder" else ""
            if self.licence:
                metadata.setdefault("licence", self.licence)
            count += 1
            if self.share[0] <= _place(relative.as_posix()) < self.share[1]:
                yield Record(relative.as_posix(), path, str(subject), metadata)
        if not count:
            raise RealismError(f"no image in '{self.path}'; looked for {', '.join(SUFFIXES)}")


def _place(id: str) -> float:
    """A number in [0, 1) that only the id decides."""
    return int.from_bytes(hashlib.blake2b(id.encode(), digest_size=6).digest(), "big") / 2**48


def _images(folder: Path) -> Iterator[Path]:
    """Paths of the images, folder by folder, each folder's own files first, in order of their names. Hidden files and
    folders are left out; links to folders are not followed."""
    for name, folders, files in os.walk(folder):
        if "run.json" in files:  # a run of ours; its pictures are no database
            folders[:] = []
            continue
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for file in sorted(files):
            if file.lower().endswith(SUFFIXES) and not file.startswith("."):
                yield Path(name) / file


def _metadata(folder: Path) -> dict[str, dict[str, Any]]:
    """What the metadata file says, by relative path."""
    table = next((folder / name for name in TABLES if (folder / name).is_file()), None)
    if table is None:
        return {}
    known: dict[str, dict[str, Any]] = {}
    for place, row in read_rows(table):
        file = row.pop("file", None)
        if not isinstance(file, str):
            raise RealismError(f"{place}: no column 'file'; its columns are: {', '.join(row)}")
        known[Path(file).as_posix()] = row
    return known
