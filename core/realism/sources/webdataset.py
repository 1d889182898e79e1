"""Images in WebDataset shards."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from realism.base.errors import RealismError
from realism.base.files import user_path
from realism.base.plain import parse_json
from realism.base.tars import SUFFIX, Place, members, read_place
from realism.data.types import Record
from realism.sources.listed import SUFFIXES, ListedImages

MAX_TEXT = 16 * 2**20
"""Bytes of the .json and .txt members that are read."""


@dataclass
class WebDataset(ListedImages):
    """Images in WebDataset shards: plain .tar files, read where they lie, with no unpacking.

    Members that are called alike up to the first dot of their file names belong together: 000123.jpg is the image,
    000123.txt its caption, and the keys of 000123.json its metadata. A record's path leads into its tar:
    /data/00000.tar/000123.jpg.
    """

    shards: str | list[str]
    """A tar, a pattern such as /data/*.tar, or a list of them; relative ones begin at the working folder."""
    subject: str = "subject"
    """The key of the .json member that says the subject."""

    def inputs(self) -> list[Path]:
        return [tar for found in self._matches().values() for tar in found]

    def problem(self) -> str | None:
        matches = self._matches()
        nothing = next((each for each, found in matches.items() if not found), None)
        if nothing is not None or not matches:
            return f"no shard '{nothing or ''}'; give .tar files, or a pattern such as /data/*.tar"
        wrong = next((tar for tar in self.inputs() if tar.suffix != SUFFIX or not tar.is_file()), None)
        return f"'{wrong}' is no plain {SUFFIX} file, and no other can be read here and there" if wrong else None

    def listed(self) -> Iterator[Record]:
        tars = dict.fromkeys(tar.absolute() for tar in self.inputs())
        common = os.path.commonpath([tar.parent for tar in tars])
        record = None
        for tar in tars:
            for record in self._records(tar, tar.relative_to(common).as_posix()):
                yield record
        if record is None:
            raise RealismError(f"no image in the shards; looked for members KEY{', KEY'.join(SUFFIXES)}")

    def _matches(self) -> dict[str, list[Path]]:
        """The tars that each text of `shards` stands for, by name."""
        given = [self.shards] if isinstance(self.shards, str) else self.shards
        return {each: _glob(user_path(each)) for each in given}

    def _records(self, tar: Path, name: str) -> Iterator[Record]:
        places = members(tar)
        samples: dict[str, dict[str, str]] = {}
        for member in places:
            key, suffix = _split(member)
            samples.setdefault(key, {})[suffix] = member
        with tar.open("rb") as file:
            for kinds in samples.values():
                images = [member for suffix, member in kinds.items() if suffix in SUFFIXES]
                metadata = _metadata(file, tar, kinds, places) if images else {}
                subject = metadata.pop(self.subject, None)
                for member in images:
                    yield Record(f"{name}/{member}", tar / member, "" if subject is None else str(subject), metadata)


def _glob(path: Path) -> list[Path]:
    """What a path or a pattern stands for, in order of names."""
    if path.exists():
        return [path]
    return [Path(found) for found in sorted(glob.glob(str(path)))]  # noqa: PTH207 - Path.glob wants a folder to begin at


def _split(member: str) -> tuple[str, str]:
    """ "a/000123.JPG" -> ("a/000123", ".jpg")"""
    folder, slash, file = member.rpartition("/")
    key, dot, suffix = file.partition(".")
    return folder + slash + key, dot + suffix.lower()


def _metadata(file: BinaryIO, tar: Path, kinds: Mapping[str, str], places: Mapping[str, Place]) -> dict[str, Any]:
    """What the .json and .txt members of one sample say."""
    metadata: dict[str, Any] = {}
    if member := kinds.get(".json"):
        metadata = parse_json(read_place(file, places[member], MAX_TEXT), f"{tar / member}", mend=True)
        if not isinstance(metadata, dict):
            raise RealismError(f'{tar / member}: expected an object such as {{"subject": "rose"}}')
    if member := kinds.get(".txt"):
        # captions from the web: a byte that is not UTF-8 is no reason to stop
        metadata["caption"] = read_place(file, places[member], MAX_TEXT).decode(errors="replace").strip()
    return metadata
