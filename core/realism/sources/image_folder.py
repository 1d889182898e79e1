"""Images from a folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from realism.base.errors import RealismError
from realism.base.texts import readable
from realism.data.types import Record
from realism.sources.listed import SUFFIXES, AtPath, ListedImages
from realism.sources.rows import read_rows

log = logging.getLogger("realism")
TABLES = ("metadata.parquet", "metadata.csv", "metadata.jsonl")


@dataclass
class ImageFolder(AtPath, ListedImages):
    """All images under a folder, sorted by path.

    A file metadata.csv, .parquet or .jsonl in the folder says more of them: column `file` (relative to the folder),
    and any of `subject` (or `species`), `caption`, `licence`, `source`, ... Images it does not name are used as well.
    """

    path: str
    """The folder, absolute or relative to the working folder."""
    labels: Literal["folder", "none"] = "folder"
    """Where the subject of an image comes from, unless the metadata says it: the name of the sub-folder it lies in, or
    nowhere."""

    def problem(self) -> str | None:
        return None if self.place.is_dir() else f"no image folder '{self.path}'"

    def listed(self) -> Iterator[Record]:
        folder = self.place
        table, known = _metadata(folder)
        path = None
        for path in _images(folder):
            relative = path.relative_to(folder)
            metadata = known.pop(relative.as_posix(), {})
            subject = metadata.pop("subject", metadata.pop("species", None))
            if subject is None:
                subject = relative.parent.name if self.labels == "folder" else ""
            yield Record(relative.as_posix(), path, str(subject), metadata)
        if path is None:
            raise RealismError(f"no image in '{self.path}'; looked for {', '.join(SUFFIXES)}")
        if known:
            first = next(iter(known))
            log.warning("%s: %d of its files are no images in the folder, the first: '%s'", table, len(known), first)


def _images(folder: Path) -> Iterator[Path]:
    """Paths of the images, folder by folder, each folder's own files first, in order of their names. Hidden files and
    folders are left out; links to folders are not followed. A warning names folders that cannot be read, and
    of links."""
    unread: list[OSError] = []
    links: list[str] = []
    for name, folders, files in os.walk(folder, onerror=unread.append):
        if "run.json" in files:  # a run of ours; its pictures are no database
            folders[:] = []
            continue
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        links += (path for f in folders if os.path.islink(path := os.path.join(name, f)))  # noqa: PTH114, PTH118
        for file in sorted(files):
            if file.lower().endswith(SUFFIXES) and not file.startswith("."):
                yield Path(name) / file
    for error in unread:
        name = readable(str(error.filename))
        log.warning("'%s' cannot be looked into, and its images are missing: %s", name, error.strerror)
    if links:
        log.warning(
            "links to folders are not followed: %d in '%s', the first: '%s'", len(links), folder, readable(links[0])
        )


def _metadata(folder: Path) -> tuple[Path | None, dict[str, dict[str, Any]]]:
    """The metadata file, and what it says by relative path. Raises RealismError if it cannot be read."""
    table = next((folder / name for name in TABLES if os.path.lexists(folder / name)), None)
    if table is None:
        return None, {}
    known: dict[str, dict[str, Any]] = {}
    for place, row in read_rows(table):
        file = row.pop("file", None)
        if not isinstance(file, str):
            raise RealismError(f"{place}: no column 'file'; its columns are: {', '.join(row)}")
        name = Path(file).as_posix()
        if name in known:
            raise RealismError(f"{place}: '{file}' comes a second time; give each image one row")
        known[name] = row
    return table, known
