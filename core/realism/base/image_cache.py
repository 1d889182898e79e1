"""What was computed of images, kept in a folder, so that nothing is computed of an image a second time."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from realism.base.errors import RealismError
from realism.base.files import write_aside
from realism.base.tars import split_member

OPEN = 16
"""Parts held in memory while rows are taken from them."""


def image_key(path: Path) -> str:
    """32 hex digits that stand for an image as it lies on disk: its path, and the size and time of change of the file
    (of the tar, if it leads into one). A changed file has another key; it is not read for that."""
    try:
        stat = path.stat()
    except OSError:
        inside = split_member(path)
        if inside is None:
            return hashlib.blake2b(f"absent {path}".encode(), digest_size=16).hexdigest()
        stat = inside[0].stat()
    told = f"{path} {stat.st_size} {stat.st_mtime_ns}"
    return hashlib.blake2b(told.encode(errors="surrogateescape"), digest_size=16).hexdigest()


class ImageCache:
    """One row for each image, by its key: a vector, or whatever else NumPy holds without pickling.

    Rows lie in parts, each a file of keys and one of values, written when they are whole. In memory are the keys of
    what was there when it was opened (40 bytes an image), not the rows.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._parts = sorted(folder.glob("keys-*.npy"))
        keys = [_load(path) for path in self._parts]
        places = [np.stack([np.full(len(k), i), np.arange(len(k))], 1) for i, k in enumerate(keys)]
        flat = np.concatenate(keys) if keys else np.zeros(0, "S32")
        order = np.argsort(flat, kind="stable")
        self._keys = flat[order]
        self._places = np.concatenate(places)[order].astype(np.int32) if places else np.zeros((0, 2), np.int32)
        self._values = functools.lru_cache(maxsize=OPEN)(lambda part: _load(_values_of(self._parts[part])))
        self._next = len(self._parts)

    def has(self, keys: Sequence[str]) -> np.ndarray:
        """(n,) bool: of which images there is a row."""
        return self._found(keys)[1]

    def take(self, keys: Sequence[str]) -> np.ndarray:
        """The rows (n, ...) of images, in their order. Raises RealismError if there is none of one."""
        at, there = self._found(keys)
        if not there.all():
            raise RealismError(f"'{self.folder}' has lost rows; remove that folder and run again")
        parts, rows = self._places[at].T
        taken = [(parts == part, self._values(int(part))[rows[parts == part]]) for part in np.unique(parts)]
        if not taken:
            return np.zeros((0, 1), np.float32)
        values = np.empty((len(keys), *taken[0][1].shape[1:]), taken[0][1].dtype)
        for here, some in taken:
            values[here] = some
        return values

    def append(self, keys: Sequence[str], values: np.ndarray) -> None:
        """Keep the rows (n, ...) of those images that had none. They are found when the folder is opened again."""
        new = ~self.has(keys)
        if new.any():
            path = self.folder / f"keys-{self._next:05d}.npy"
            _save(_values_of(path), values[new])  # first: a file of keys says that its values are there
            _save(path, np.array(keys, "S32")[new])
            self._next += 1

    def _found(self, keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        wanted = np.array(keys, "S32")
        if not len(self._keys):
            return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
        at = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        return at, self._keys[at] == wanted


def _values_of(keys: Path) -> Path:
    return keys.with_name(keys.name.replace("keys-", "values-"))


def _save(path: Path, values: np.ndarray) -> None:
    with write_aside(path) as aside, aside.open("wb") as file:
        np.save(file, values)


def _load(path: Path) -> np.ndarray:
    try:
        return np.asarray(np.load(path))
    except (OSError, ValueError, EOFError):
        raise RealismError(f"'{path}' is damaged; remove the folder '{path.parent}' and run again") from None
