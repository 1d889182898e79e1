"""Files inside plain tar archives, read where they lie: "/data/00000.tar/000123.jpg" means a member of 00000.tar."""

from __future__ import annotations

import functools
import tarfile
import threading
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from realism.base.errors import RealismError
from realism.base.files import regular

SUFFIX = ".tar"
CACHED = 32
"""Tars whose members are cached; 10,000 members take about 2 MB."""
COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "rar",
}
"""How compressed files begin. Nothing in them can be found without reading all before it."""
MAX_BYTES = 2**30
"""Larger members are not read."""

Place = tuple[int, int]
"""Where a member begins in its tar, and how long it is, in bytes."""

_scanning = threading.Lock()  # threads that ask for the same tar at once shall not all read its headers


def split_member(path: Path) -> tuple[Path, str] | None:
    """The tar that a path leads into and the member's name, or None if no tar file lies on the way."""
    if SUFFIX + "/" not in path.as_posix():
        return None
    for parent in path.parents:
        if parent.suffix == SUFFIX and parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    return None


def members(tar: Path) -> Mapping[str, Place]:
    """The files in a tar by name, in its order. Its headers are read once, for as long as the tar stays the same.

    Raises RealismError for a tar that is compressed or damaged, or whose members point outside of it."""
    try:
        stat = regular(tar).stat()
        with _scanning:
            return _scan(tar, stat.st_size, stat.st_mtime_ns)
    except FileNotFoundError:
        raise RealismError(f"{tar}: no such file") from None
    except OSError as error:
        raise RealismError(f"{tar}: it cannot be read: {error.strerror}") from error


def read_member(tar: Path, name: str) -> bytes:
    """One file of a tar. Raises FileNotFoundError if it is not in it, and RealismError as `members` does."""
    place = members(tar).get(name)
    if place is None:
        raise FileNotFoundError(f"{tar}: no member '{name}'")
    with tar.open("rb") as file:
        return read_place(file, place)


def read_place(file: BinaryIO, place: Place, max_bytes: int = MAX_BYTES) -> bytes:
    """One file of an open tar. Raises RealismError if it has more than `max_bytes`."""
    offset, size = place
    if size > max_bytes:
        raise RealismError(f"{file.name}: a member of {size:,} bytes, of which at most {max_bytes:,} are read")
    file.seek(offset)
    return file.read(size)


@functools.lru_cache(maxsize=CACHED)
def _scan(tar: Path, size: int, changed: int) -> Mapping[str, Place]:
    found: dict[str, Place] = {}
    with tar.open("rb") as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as archive:
                end = 0
                while (member := archive.next()) is not None:
                    archive.members.clear()  # type: ignore[attr-defined] # it would keep them all
                    if archive.offset <= end:
                        raise tarfile.ReadError(f"a header at byte {end} that leads back")
                    end = archive.offset
                    if member.isreg() and not member.issparse():
                        found[_name(tar, member.name)] = (member.offset_data, member.size)
                _refuse_rest(file, archive.offset)
        except RealismError:
            raise
        except Exception as error:  # tarfile raises many kinds for a damaged file
            raise RealismError(_damage(tar, file, error)) from error
    return found


def _damage(tar: Path, file: BinaryIO, error: Exception) -> str:
    file.seek(0)
    head = file.read(8)
    for start, kind in COMPRESSED.items():
        if head.startswith(start):  # asked last, as the name of a first member may begin so
            return f"{tar}: compressed with {kind}; only a plain tar can be read in any order: unpack it"
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"{tar}: damaged, or no tar: {reason}; copy or make it again"


def _refuse_rest(file: BinaryIO, offset: int) -> None:
    """tarfile takes a broken header for the end of the tar; at a true end there are zeros, or nothing."""
    file.seek(offset)
    if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise tarfile.ReadError(f"no header at byte {offset}")


def _name(tar: Path, name: str) -> str:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        raise RealismError(f"{tar}: member '{name}' points outside of the tar; make the tar again without it")
    return pure.as_posix()
