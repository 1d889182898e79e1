"""What a step has written: noted when it is done, counted whenever it is read, compared byte by byte when asked to."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from realism.base.errors import RealismError
from realism.base.files import TEMPORARY, read_json, atomic_write, write_json
from realism.base.tables import chunks, shard_path, shard_paths, count_shard
from realism.data.artifacts import KINDS, Artifact

DONE = "done.json"
BEGUN = "begun.json"
LISTING = "files.sha256"
"""A line for each file of a step, as `sha256sum --check` reads it."""
UNLISTED = (DONE, BEGUN, LISTING, "timing.json", "notes.jsonl", "checkpoints")
"""What tells of the work, and is no result of it."""
AT_ONCE = 256


def note_done(folder: Path, fingerprint: str, made: Sequence[Artifact], about: Mapping[str, Any]) -> None:
    """Write down that a step is done, and what is there then: the last thing of all that it writes. about: what else is
    to be known of it, JSON-like; `threads` and `skipped_limit` at least."""
    files, contents = 0, hashlib.sha256()
    with atomic_write(folder / LISTING) as temporary, temporary.open("w", encoding="utf-8", errors="surrogateescape") as listing:
        for name, sha256 in _hashed(folder, _files(folder)):
            line = f"{sha256}  {name}\n"
            listing.write(line)
            contents.update(line.encode(errors="surrogateescape"))
            files += 1
    artifacts = [a.as_json() | {"path": a.place} | _counted(a, folder) for a in made]
    told = {
        "fingerprint": fingerprint,
        "artifacts": artifacts,
        "files": files,
        "contents": contents.hexdigest(),
    }
    write_json(folder / DONE, told | dict(about))


def _counted(artifact: Artifact, folder: Path) -> dict[str, Any]:
    return {"rows": [count_shard(part) for part in shard_paths(folder / artifact.place)]} if artifact.row is not None else {}


def told_by(folder: Path) -> dict[str, Any]:
    """What is written down of a step that is done. Raises RealismError if that is damaged."""
    try:
        told = read_json(folder / DONE)
        numbers = all(isinstance(told[name], int | float) for name in ("files", "threads", "skipped_limit"))
        if numbers and isinstance(told["contents"], str) and all(map(_is_told, told["artifacts"])):
            return dict(told)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise RealismError(f"'{folder / DONE}' is damaged, or another version wrote it; remove '{folder}' and run again")


def _is_told(artifact: dict[str, Any]) -> bool:
    """Whether an artifact lies below the step's folder, which a stranger may have written."""
    place = PurePosixPath(artifact["path"])
    inside = not place.is_absolute() and ".." not in place.parts and bool(place.parts) and "\0" not in str(place)
    if not all(isinstance(value, str | int) for name, value in artifact.items() if name != "rows"):
        return False
    kind = KINDS.get(artifact["kind"])
    counted = kind is None or kind.row is None or "rows" in artifact
    return inside and counted and all(isinstance(rows, int) for rows in artifact.get("rows", []))


def written_by(folder: Path) -> dict[Artifact, Path]:
    """What a step that is done has written, and where it lies; without kinds of which no imported module knows. Raises
    RealismError if a table has lost or gained rows."""
    found: dict[Artifact, Path] = {}
    for told in told_by(folder)["artifacts"]:
        artifact = Artifact.from_json(told)
        if artifact is None:
            continue
        found[artifact] = path = folder / told["path"]
        available = [count_shard(part) for part in shard_paths(path)]
        if (artifact.row is not None and available != told["rows"]) or not path.exists():
            had, has = sum(told.get("rows", [])), sum(available)
            raise RealismError(
                f"'{path}' is not as it was written: {has:,} rows where there were {had:,}; run the recipe again, "
                "which makes anew what is lost"
            )
    return found


def lost(folder: Path) -> list[str]:
    """What is no longer there of a step that is done, in words; parts of tables that have other rows than they had, or
    cannot be read, are removed for it, as a step that is done again makes those parts that are missing.

    Raises RealismError if other files are gone, such as pictures."""
    told, gone = told_by(folder), []
    available = set(_files(folder))
    for one in told["artifacts"]:
        path = folder / one["path"]
        if not path.exists():
            gone.append(f"'{one['path']}'")
        for number, rows in enumerate(one.get("rows", ())):
            part = shard_path(path, number)
            if _rows(part) != rows:
                part.unlink(missing_ok=True)
                gone.append(f"'{part.relative_to(folder).as_posix()}'")
    lacking = [name for name in _listed(folder) if name not in available and f"'{name}'" not in gone]
    if lacking:
        raise RealismError(
            f"'{folder}' lacks {len(lacking):,} of its {told['files']:,} files, such as '{lacking[0]}'; "
            "remove that folder and run again"
        )
    return gone


def _listed(folder: Path) -> Iterator[str]:
    """The names of the files that a step has written; none if the list is gone, which `changed` tells."""
    try:
        with (folder / LISTING).open(encoding="utf-8", errors="surrogateescape") as listing:
            yield from (line.rstrip("\n").split("  ", 1)[-1] for line in listing)
    except OSError:
        return


def _rows(part: Path) -> int:
    """How many rows a shard has; -1 if it is not there or damaged."""
    try:
        return count_shard(part)
    except RealismError:
        return -1


def contents_of(folder: Path) -> str:
    """64 hex digits that stand for all that a step has written; "" for a folder that is none of a step."""
    return str(told_by(folder)["contents"]) if (folder / DONE).exists() else ""


def changed(folder: Path) -> Iterator[str]:
    """What is not as it was when the step was done, in words: files that are gone, other or more, and the list itself.

    Every file is read. Raises RealismError if what the step wrote down of itself is damaged."""
    told = told_by(folder)
    if not (folder / LISTING).is_file() or _sha256(folder / LISTING) != told["contents"]:
        yield f"'{folder / LISTING}' has been changed, so it is not known which files have"
        return
    with (folder / LISTING).open(encoding="utf-8", errors="surrogateescape") as listing:
        for lines in chunks(listing, AT_ONCE):
            was = {name.rstrip("\n"): sha256 for sha256, name in (line.split("  ", 1) for line in lines)}
            available = [name for name in was if (folder / name).is_file()]
            yield from (f"'{folder / name}' is gone" for name in was if name not in available)
            for name, sha256 in _hashed(folder, available):
                if sha256 != was[name]:
                    yield f"'{folder / name}' has been changed"
    if sum(1 for _ in _files(folder)) > told["files"]:
        names = set(_listed(folder))
        yield from (f"'{folder / name}' was not written by the step" for name in _files(folder) if name not in names)


def _files(folder: Path, below: str = "") -> Iterator[str]:
    """The files that are results of a step, by their paths below its folder, in order."""
    with os.scandir(folder / below) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if (not below and entry.name in UNLISTED) or entry.name.endswith(TEMPORARY):
            continue
        name = f"{below}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _files(folder, f"{name}/")
        else:
            yield name


def _hashed(folder: Path, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each name with the SHA-256 of its file, in order."""
    with ThreadPoolExecutor(4, thread_name_prefix="hash") as pool:
        for some in chunks(names, AT_ONCE):
            yield from zip(some, pool.map(lambda name: _sha256(folder / name), some), strict=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
