"""`realism verify`: whether a run's files are as its steps have written them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from realism.base.errors import RealismError
from realism.base.image_cache import changed_parts
from realism.cli.runs import find_run
from realism.runs.manifest import DONE, changed
from realism.runs.progress import View
from realism.runs.record import read_record

SHOWN = 20
"""Changes that are named."""


def verify_run(folder: Path) -> None:
    """Read every file of a run's steps, and of its embeddings. Raises RealismError, naming the first of them, if some
    are not as they were written."""
    view, folder = View(), find_run(folder)
    steps = [folder / step for step in dict.fromkeys(record.folder for record in read_record(folder).steps)]
    found: list[str] = []
    with view.step("verify") as bar:
        bar.expect(len(steps) + 1)
        for step in steps:
            found += _changed(step)
            bar(1)
        found += _changed_embeddings(folder)
    if found:
        more = f"\n  ... and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
        raise RealismError(
            f"{folder}: {len(found):,} not as written\n  " + "\n  ".join(found[:SHOWN]) + more + "\nRemove the folders "
            "of the steps they are in, or the folder 'embeddings', and run the recipe again: it makes them anew."
        )
    view.say(f"{folder}: all files of {len(steps)} steps are as they were written")


def _changed(step: Path) -> Iterator[str]:
    if not (step / DONE).exists():
        yield f"'{step}' is missing, or not done"
        return
    try:
        yield from changed(step)
    except RealismError as error:
        yield str(error)


def _changed_embeddings(folder: Path) -> Iterator[str]:
    for cache in sorted(path for path in (folder / "embeddings").glob("*") if path.is_dir()):
        yield from changed_parts(cache)
