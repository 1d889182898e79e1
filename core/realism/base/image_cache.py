"""A cache of what was computed of images, in a folder."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from realism.base.errors import RealismError
from realism.base.files import atomic_write
from realism.base.tables import read_vectors
from realism.base.tars import split_member

OPEN = 16
"""Parts in memory while rows are taken from them."""
MAX_UNSORTED = 2**15
"""So many new keys are looked up one by one before they are sorted in among the old ones."""


def image_key(path: Path) -> str:
    """32 hex digits that identify an image as it lies on disk: its path, and the size and time of change of the file
    (of the tar, if it leads into one). A changed file has another key; it is not read for that."""
    try:
        stat = path.stat()
    except OSError:
        inside = split_member(path)
        if inside is None:
            return hashlib.blake2b(f"absent {path}".encode(), digest_size=16).hexdigest()
        stat = inside[0].stat()
    identity = f"{path} {stat.st_size} {stat.st_mtime_ns}"
    return hashlib.blake2b(identity.encode(errors="surrogateescape"), digest_size=16).hexdigest()


class ImageCache:
    """One row for each image, by its key (32 hex digits): a vector, or whatever else NumPy holds without pickling.

    Rows lie in parts, each a file of keys and one of values, written when they are whole. What is added waits in memory
    for `flush`. In memory besides are the keys (40 bytes an image), not the rows.
    """

    def __init__(self, folder: Path):
        """The folder is read at the first query, and made at the first write."""
        self.folder = folder
        self._waiting: dict[str, np.ndarray] = {}
        self._values = functools.lru_cache(maxsize=OPEN)(lambda part: read_vectors(_values_of(self._parts[part])))

    @functools.cached_property
    def _parts(self) -> list[Path]:
        """The files of keys that are known, whose keys are sorted then."""
        self._parts = sorted(self.folder.glob("keys-*.npy"))
        self._sort()
        return self._parts

    def __reduce__(self) -> tuple[type[ImageCache], tuple[Path]]:
        return ImageCache, (self.folder,)  # what waits is not taken along

    def _sort(self) -> None:
        """Sort the keys of all parts."""
        keys = [read_vectors(path) for path in self._parts]
        places = [np.stack([np.full(len(k), i), np.arange(len(k))], 1) for i, k in enumerate(keys)]
        flat = np.concatenate(keys) if keys else np.zeros(0, "S32")
        order = np.argsort(flat, kind="stable")
        self._keys = flat[order]
        self._places = np.concatenate(places)[order].astype(np.int32) if places else np.zeros((0, 2), np.int32)
        self._new: dict[str, tuple[int, int]] = {}

    def has(self, keys: Sequence[str]) -> np.ndarray:
        """(n,) bool: of which images there is a row."""
        return self._found(keys)[1] | np.fromiter((key in self._waiting for key in keys), bool, len(keys))

    def take(self, keys: Sequence[str] | np.ndarray) -> np.ndarray:
        """The rows (n, ...) of images, in their order, those that other processes have written since as well.

        keys: texts, or an array of bytes where there are many. Raises RealismError if there is no row of one."""
        if self._parts and self._new and isinstance(keys, np.ndarray):
            self._sort()
        places, available = self._found(keys)
        if not available.all() and len(found := sorted(self.folder.glob("keys-*.npy"))) > len(self._parts):
            self._parts = found
            self._values.cache_clear()
            self._sort()
            places, available = self._found(keys)
        values: np.ndarray | None = None
        for part in np.unique(places[available, 0]):
            here = available & (places[:, 0] == part)
            some = self._values(int(part))[places[here, 1]]
            values = np.empty((len(keys), *some.shape[1:]), some.dtype) if values is None else values
            values[here] = some
        for i in np.flatnonzero(~available).tolist():
            row = self._waiting.get(_text(keys[i]))
            if row is None:
                raise RealismError(f"'{self.folder}' has lost rows; remove that folder and run again")
            values = np.empty((len(keys), *row.shape), row.dtype) if values is None else values
            values[i] = row
        return np.zeros((0, 1), np.float32) if values is None else values

    def add(self, keys: Sequence[str], values: np.ndarray) -> None:
        """Keep the rows (n, ...) of those images that had none."""
        for key, value, available in zip(keys, values, self.has(keys).tolist(), strict=True):
            if not available:
                self._waiting.setdefault(key, np.asarray(value))

    def flush(self) -> None:
        """Write what waits, as one part."""
        if not self._waiting:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        number, keys = len(self._parts), list(self._waiting)
        names, values = np.array(keys, "S32"), np.stack(list(self._waiting.values()))
        path = self.folder / f"keys-{_name(names, values)}.npy"
        _save(_values_of(path), values)  # first: a file of keys says its values are there
        _save(path, names)
        self._new |= {key: (number, row) for row, key in enumerate(keys)}
        self._parts.append(path)
        self._waiting.clear()
        if len(self._new) > MAX_UNSORTED:
            self._sort()

    def _found(self, keys: Sequence[str] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Part and row (n, 2) of each image, and which of these (n,) are in files."""
        if not self._parts:
            return np.zeros((len(keys), 2), np.int64), np.zeros(len(keys), bool)
        wanted = np.asarray(keys, "S32")
        places, available = np.zeros((len(wanted), 2), np.int64), np.zeros(len(wanted), bool)
        if len(self._keys):
            at = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
            available = self._keys[at] == wanted
            places[available] = self._places[at[available]]
        if self._new:
            for i in np.flatnonzero(~available).tolist():
                if (place := self._new.get(_text(keys[i]))) is not None:
                    places[i], available[i] = place, True
        return places, available


def changed_parts(folder: Path) -> Iterator[str]:
    """What of a cache's folder is not as it was written, in words; all is read."""
    for path in sorted(folder.glob("keys-*.npy")):
        try:
            same = path.stem == f"keys-{_name(read_vectors(path), read_vectors(_values_of(path)))}"
        except RealismError:
            same = False
        if not same:
            yield f"'{path}' or '{_values_of(path).name}' has been changed"


def _name(keys: np.ndarray, values: np.ndarray) -> str:
    """The name of a part: a hash of its contents, so that changes are found."""
    identity = (keys.tobytes(), str((values.dtype, values.shape)).encode(), np.ascontiguousarray(values).tobytes())
    return hashlib.blake2b(b"".join(identity), digest_size=16).hexdigest()


def _text(key: str | bytes) -> str:
    return key.decode() if isinstance(key, bytes) else key


def _values_of(keys: Path) -> Path:
    return keys.with_name(keys.name.replace("keys-", "values-"))


def _save(path: Path, values: np.ndarray) -> None:
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.save(file, values)
