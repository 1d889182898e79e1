"""`realism runs`: the runs below a folder, and their status."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from realism.base.errors import RealismError, nearest
from realism.base.texts import plain_line
from realism.report.format import duration
from realism.runs.record import NAME, RunRecord, read_record, status_of

RUNS = Path("runs")
"""Where runs lie that were not given another folder."""
NAME_IT = "; name the one that 'realism run' printed"
COLUMNS = ("run", "recipe", "state", "when", "time", "settings")


def list_runs(folder: Path) -> None:
    """`realism runs`: a table, newest first; where it goes into a pipe or a file, a line a run with tabs between."""
    if not folder.is_dir():
        raise RealismError(f"no folder '{folder}': name the one that your runs lie in; without --out it is '{RUNS}'")
    found = [line for _, line in sorted(map(_line, runs_in(folder)), key=lambda pair: -pair[0])]
    console = Console(highlight=False)
    if not console.is_terminal:
        print(*("\t".join(line) for line in [COLUMNS, *found]), sep="\n")
        return
    table = Table(*COLUMNS, box=None, pad_edge=False, header_style="bold")
    for line in found:
        table.add_row(*map(Text, line))
    console.print(table if found else f"no run in '{folder}'", markup=False)


def runs_in(folder: Path) -> Iterator[Path]:
    """The folders of all runs below a folder, or that folder itself."""
    for place, below, files in os.walk(folder):
        below.sort()
        if NAME in files or {".lock", "recipe.yaml"} <= set(files):
            below.clear()
            yield Path(place)


def find_run(name: str | Path) -> Path:
    """The folder of a run, by its path or by its name in `realism runs`. Raises RealismError if there is none."""
    for folder in (Path(name), RUNS / name):
        if (folder / NAME).is_file():
            return folder
    near = nearest(str(name), (place for run in runs_in(RUNS) for place in (str(run), run.name)))
    raise RealismError(f"'{name}' is not the folder of a run{near or NAME_IT}")


def _line(folder: Path) -> tuple[float, tuple[str, ...]]:
    """When a run was last worked on, in seconds, and the cells of its line; of a damaged one, that it is."""
    try:
        record = read_record(folder)
        last = record.ended or record.began or datetime.fromtimestamp(0)
        when = f"{last.astimezone():%Y-%m-%d %H:%M}"
        cells = (record.recipe, _state(record, folder), when, duration(record.seconds), shlex.join(record.overrides))
        time = last.timestamp()
    except (RealismError, ValueError, OverflowError) as error:  # the latter two of invalid times
        time, cells = 0.0, ("", f"damaged: {error}", "", "", "")
    return time, tuple(map(plain_line, (str(folder), *cells)))


def _state(record: RunRecord, folder: Path) -> str:
    state = status_of(record, folder)
    at = f" at {record.step}" if record.step else ""
    return f"{state}{at}: {record.error}" if record.error else f"{state}{at}"
