"""The files of a step that is done: listed in done.json, checked whenever a run is read, hashed for `realism verify`."""

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
START = "start.json"
LISTING = "files.sha256"
"""A line for each file of a step, as `sha256sum --check` reads it."""
UNLISTED = (DONE, START, LISTING, "timing.json", "notes.jsonl", "checkpoints")
"""Files about the work, which are no results of it."""
AT_ONCE = 256


class Manifest:
    """What is recorded of a step that is done."""

    def __init__(self, folder: Path):
        """Reads done.json in the step's folder, once. Raises RealismError if it is damaged."""
        self.folder = folder
        try:
            data = read_json(folder / DONE)
            self.threads, self.skipped_limit = int(data["threads"]), float(data["skipped_limit"])
            self.files, self.contents = int(data["files"]), data["contents"]
            self._entries: list[dict[str, Any]] = data["artifacts"]
            if isinstance(self.contents, str) and all(map(_is_valid, self._entries)):
                return
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
            pass
        raise RealismError(f"'{folder / DONE}' is damaged, or another version wrote it; remove '{folder}' and run again")

    def outputs(self) -> dict[Artifact, Path]:
        """The artifacts of the step and where they lie, without kinds that no imported module has. Nothing is checked:
        see `check`."""
        found = ((Artifact.from_json(entry), self.folder / entry["path"]) for entry in self._entries)
        return {artifact: path for artifact, path in found if artifact is not None}

    def check(self) -> None:
        """Raises RealismError if a table has other rows than were written, or is missing."""
        for entry in self._entries:
            if Artifact.from_json(entry) is None:
                continue
            path, written = self.folder / entry["path"], entry.get("rows")
            available = [count_shard(shard) for shard in shard_paths(path)]
            if not path.exists() or (written is not None and available != written):
                raise _other_rows(path, sum(available), sum(written or []))

    def missing(self) -> list[str]:
        """The outputs that are missing, in words. Shards that have other rows than they had, or cannot be read, are
        removed and count as missing, as a step that is done again makes only those that are missing.

        Raises RealismError if other files are missing, such as pictures."""
        found: list[str] = []
        for entry in self._entries:
            path = self.folder / entry["path"]
            if not path.exists():
                found.append(f"'{entry['path']}'")
            for number, rows in enumerate(entry.get("rows", ())):
                shard = shard_path(path, number)
                if _rows(shard) != rows:
                    shard.unlink(missing_ok=True)
                    found.append(f"'{shard.relative_to(self.folder).as_posix()}'")
            if "rows" in entry and len(shard_paths(path)) > len(entry["rows"]):
                raise _other_rows(path, sum(map(count_shard, shard_paths(path))), sum(entry["rows"]))
        available = set(_files(self.folder))
        others = [name for name in _listed(self.folder) if name not in available and f"'{name}'" not in found]
        if others:
            raise RealismError(
                f"'{self.folder}' lacks {len(others):,} of its {self.files:,} files, such as '{others[0]}'; "
                "remove that folder and run again"
            )
        return found


def write_manifest(folder: Path, fingerprint: str, outputs: Sequence[Artifact], about: Mapping[str, Any]) -> Manifest:
    """Record that a step is done, and its files: the last thing that it writes. about: what else is recorded,
    JSON-like; `threads` and `skipped_limit` at least."""
    files, contents = 0, hashlib.sha256()
    with (
        atomic_write(folder / LISTING) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape") as listing,
    ):
        for name, sha256 in _hashed(folder, _files(folder)):
            line = f"{sha256}  {name}\n"
            listing.write(line)
            contents.update(line.encode(errors="surrogateescape"))
            files += 1
    data = {
        "fingerprint": fingerprint,
        "artifacts": [a.as_json() | {"path": a.place} | _row_counts(a, folder) for a in outputs],
        "files": files,
        "contents": contents.hexdigest(),
    }
    write_json(folder / DONE, data | dict(about))
    return Manifest(folder)


def _row_counts(artifact: Artifact, folder: Path) -> dict[str, Any]:
    if artifact.row is None:
        return {}
    return {"rows": [count_shard(shard) for shard in shard_paths(folder / artifact.place)]}


def _is_valid(entry: dict[str, Any]) -> bool:
    """Whether an artifact lies below the step's folder, as a stranger may have written its entry."""
    place = PurePosixPath(entry["path"])
    inside = not place.is_absolute() and ".." not in place.parts and bool(place.parts) and "\0" not in str(place)
    if not all(isinstance(value, str | int) for name, value in entry.items() if name != "rows"):
        return False
    kind = KINDS.get(entry["kind"])
    counted = kind is None or kind.row is None or "rows" in entry
    return inside and counted and all(isinstance(rows, int) for rows in entry.get("rows", []))


def outputs_of(folder: Path) -> dict[Artifact, Path]:
    """The artifacts of a step that is done and where they lie, without kinds that no imported module has. Raises
    RealismError if the manifest is damaged, or a table has other rows than were written."""
    manifest = Manifest(folder)
    manifest.check()
    return manifest.outputs()


def _listed(folder: Path) -> Iterator[str]:
    """The names of the files that a step has written; none if the list is missing, which `changed` reports."""
    try:
        with (folder / LISTING).open(encoding="utf-8", errors="surrogateescape") as listing:
            yield from (line.rstrip("\n").split("  ", 1)[-1] for line in listing)
    except OSError:
        return


def _other_rows(path: Path, rows: int, written: int) -> RealismError:
    return RealismError(
        f"'{path}' is not as it was written: {rows:,} rows where there were {written:,}; run the recipe again, which "
        "makes what is missing"
    )


def _rows(shard: Path) -> int:
    """How many rows a shard has; -1 if it is missing or damaged."""
    try:
        return count_shard(shard)
    except RealismError:
        return -1


def changed(folder: Path) -> Iterator[str]:
    """What is not as it was when the step was done, in words: files that are missing, changed or new, and the list
    itself.

    Every file is read. Raises RealismError if the manifest is damaged."""
    manifest = Manifest(folder)
    if not (folder / LISTING).is_file() or _sha256(folder / LISTING) != manifest.contents:
        yield f"'{folder / LISTING}' has been changed, so it is not known which files have"
        return
    with (folder / LISTING).open(encoding="utf-8", errors="surrogateescape") as listing:
        for lines in chunks(listing, AT_ONCE):
            before = {name.rstrip("\n"): sha256 for sha256, name in (line.split("  ", 1) for line in lines)}
            available = [name for name in before if (folder / name).is_file()]
            yield from (f"'{folder / name}' is missing" for name in before if name not in available)
            for name, sha256 in _hashed(folder, available):
                if sha256 != before[name]:
                    yield f"'{folder / name}' has been changed"
    if sum(1 for _ in _files(folder)) > manifest.files:
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
