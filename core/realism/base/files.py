"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WHOLE = 64 * 2**20
EDGE = 2**20


@contextlib.contextmanager
def write_aside(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` to write to; renamed to `path` if the block ends well, removed if it does not."""
    aside = path.with_name(f".{path.name}.writing")
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # as a write that fails does not say where
        raise
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text, whole or not at all."""
    with write_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON for people: indented, keys in the order given."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def digest(value: Any) -> str:
    """32 hex digits that stand for a JSON-like value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def fingerprint_path(path: Path) -> str:
    """32 hex digits that stand for the contents of a file or of all files under a folder ("absent" if neither).

    Files up to 64 MiB are read whole; of larger ones the size and the first and last MiB, as reading 24 GB of weights
    at every start would cost a minute.
    """
    if path.is_dir():
        inside = sorted(p for p in path.rglob("*") if p.is_file())
        return digest([(str(p.relative_to(path)), fingerprint_path(p)) for p in inside])
    if not path.is_file():
        return "absent"
    stat = path.stat()
    return _contents(path, stat.st_size, stat.st_mtime_ns)


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
    """32 hex digits that stand for the names, sizes and times of change of all files under a folder, which are not
    read: a database of images may hold terabytes."""
    inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    stats = [(str(p.relative_to(path)), p.stat().st_size, p.stat().st_mtime_ns) for p in inside if p.exists()]
    return digest(stats)


@contextlib.contextmanager
def renamed_folder(path: Path) -> Iterator[Path]:
    """An empty folder to write to, which takes the place of `path` if the block ends well."""
    aside = path.with_name(f".{path.name}.writing")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    yield aside
    shutil.rmtree(path, ignore_errors=True)
    aside.replace(path)
