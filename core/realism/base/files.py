"""Files and folders that are written atomically, and hashes of them."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WHOLE = 64 * 2**20
EDGE = 2**20
TEMPORARY = ".writing"
"""How the names of files end that are being written."""


KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def regular(path: Path) -> Path:
    """The path, if it is a file or a link that leads to one. Raises OSError if nothing is there, and if it is a folder,
    a pipe, a socket or a device: to read those may never end. All that a user has named is opened by way of this."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"it is {KINDS.get(stat.S_IFMT(mode), 'of another kind')}, no file", str(path))
    return path


def read_json(path: Path) -> Any:
    """The value in a small file of JSON of a run. Raises OSError if there is no such file, and ValueError if it is
    larger than 64 MiB, nested too deep or no JSON: the run may be a stranger's."""
    if regular(path).stat().st_size > WHOLE:
        raise ValueError(f"more than {WHOLE:,} bytes")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("nested too deep") from None


def user_path(text: str) -> Path:
    """A path as a user writes it, with "~" for the home folder. A "~name" that nobody has stays as it is."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - Path.expanduser raises for such


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A new file beside `path` to write to; renamed to `path` if the block ends well, removed if it does not.

    Its name cannot be guessed, so that no link that waits in a stranger's folder is followed."""
    temporary = _beside(path)
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # as a write that fails does not say where
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON for people: indented, keys in the order given."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def digest(value: Any) -> str:
    """32 hex digits that identify a JSON-like value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def fingerprint_path(path: Path) -> str:
    """32 hex digits that identify the contents of a file or of all files under a folder ("absent" if neither).

    Files up to 64 MiB are read whole; of larger ones the size and the first and last MiB, as reading 24 GB of weights
    at every start would cost a minute.
    """
    if path.is_dir():
        inside = sorted(p for p in path.rglob("*") if p.is_file())
        return digest([(str(p.relative_to(path)), fingerprint_path(p)) for p in inside])
    if not path.is_file():
        return "absent"
    found = path.stat()
    return _contents(path, found.st_size, found.st_mtime_ns)


@functools.cache
def _contents(path: Path, size: int, changed: int) -> str:
    hashed = hashlib.blake2b(str(size).encode(), digest_size=16)
    with path.open("rb") as file:
        if size <= WHOLE:
            for block in iter(lambda: file.read(EDGE), b""):
                hashed.update(block)
        else:
            hashed.update(file.read(EDGE))
            file.seek(-EDGE, os.SEEK_END)
            hashed.update(file.read(EDGE))
    return hashed.hexdigest()


def fingerprint_listing(path: Path) -> str:
    """32 hex digits that identify the names, sizes and times of change of all files under a folder, which are not
    read: a database of images may hold terabytes."""
    inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    stats = [(str(p.relative_to(path)), p.stat().st_size, p.stat().st_mtime_ns) for p in inside if p.exists()]
    return digest(stats)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """An empty folder to write to, which takes the place of `path` if the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    temporary.mkdir()
    try:
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}{TEMPORARY}")


def tidy(folder: Path) -> list[Path]:
    """Remove what writers that were killed have left in a folder, at any depth. Returns the links, named pipes, sockets
    and devices in it, none of which is followed."""
    irregular: list[Path] = []
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                is_folder = entry.is_dir(follow_symlinks=False)
                if not is_folder and not entry.is_file(follow_symlinks=False):
                    irregular.append(Path(entry.path))
                elif entry.name.startswith(".") and entry.name.endswith(TEMPORARY):
                    shutil.rmtree(entry.path) if is_folder else Path(entry.path).unlink()
                elif is_folder:
                    waiting.append(Path(entry.path))
    return irregular
