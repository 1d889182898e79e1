"""Rows of a run's tables, and Parquet in shards: written one by one, read one by one, and by pandas as a folder."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, get_args

from realism.base.errors import damaged
from realism.base.files import atomic_write, regular
from realism.base.machine import is_machine_error

if TYPE_CHECKING:
    import numpy as np
    import pyarrow

T = TypeVar("T")
R = TypeVar("R", bound="Row")


@dataclass(frozen=True)
class Row:
    """A row of a table. Mappings are kept as JSON text, so that any reader of Parquet can open them."""

    @classmethod
    def schema(cls) -> pyarrow.Schema:
        """The Arrow schema, from the annotations of the dataclass."""
        import pyarrow

        arrow = {"str": pyarrow.string(), "int": pyarrow.int64(), "float": pyarrow.float64(), "bool": pyarrow.bool_()}
        arrow |= {"dict[str, Any]": pyarrow.string(), "list[str]": pyarrow.list_(pyarrow.string())}
        if unknown := next((f for f in fields(cls) if _written(f.type) not in arrow), None):
            raise TypeError(
                f"{cls.__name__}.{unknown.name} is a {_written(unknown.type)}; a row holds: {', '.join(arrow)}"
            )
        return pyarrow.schema([(f.name, arrow[_written(f.type)]) for f in fields(cls)])

    def as_cells(self) -> dict[str, Any]:
        """The row as Parquet holds it."""
        return {k: json.dumps(v, sort_keys=True) if isinstance(v, dict) else v for k, v in asdict(self).items()}

    @classmethod
    def from_cells(cls, cells: dict[str, Any]) -> Self:
        """The row again. Raises TypeError if a cell is empty, as none that is written is."""
        if any(value is None for value in cells.values()):
            raise TypeError("an empty cell")
        jsons = {f.name for f in fields(cls) if _written(f.type) == "dict[str, Any]"}
        return cls(**{k: json.loads(v) if k in jsons else v for k, v in cells.items()})


def _written(hint: Any) -> str:
    """A type as it is written in source, whether annotations are kept as texts or not."""
    if isinstance(hint, type) and not get_args(hint):
        return hint.__name__
    return str(hint).replace("typing.", "")


def write_shard(rows: Sequence[Row], kind: type[Row], folder: Path, number: int) -> Path:
    """Write one shard of a table atomically. Equal rows give equal bytes."""
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.Table.from_pylist([row.as_cells() for row in rows], schema=kind.schema())
    path = shard_path(folder, number)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        pyarrow.parquet.write_table(table, temporary)
    return path


def shard_path(folder: Path, number: int) -> Path:
    """Where shard `number` of a table lies."""
    return folder / f"shard-{number:05d}.parquet"


def shard_paths(folder: Path) -> list[Path]:
    """The shards of a table, in order."""
    return sorted(folder.glob("shard-*.parquet"), key=lambda path: int(path.stem.removeprefix("shard-")))


def read_shard(path: Path, kind: type[R]) -> list[R]:
    """The rows of one shard."""
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(regular(path)) as file:
            return [kind.from_cells(cells) for cells in file.read().to_pylist()]
    except (pyarrow.ArrowException, OSError, TypeError, ValueError, RecursionError) as error:
        if is_machine_error(error):
            raise
        raise damaged(path) from None


def read_vectors(path: Path) -> np.ndarray:
    """The array of a file that a step wrote. Raises RealismError if it is damaged."""
    import numpy as np

    try:
        return np.asarray(np.load(path))
    except (OSError, ValueError, EOFError) as error:
        if is_machine_error(error):
            raise
        raise damaged(path) from None


def read(folder: Path, kind: type[R]) -> Iterator[R]:
    """All rows of a table, one shard in memory at a time."""
    for path in shard_paths(folder):
        yield from read_shard(path, kind)


def count_rows(folder: Path) -> int:
    """How many rows a table has, of which none is read."""
    return sum(count_shard(path) for path in shard_paths(folder))


def count_shard(path: Path) -> int:
    """How many rows a shard has, of which none is read. Raises RealismError if it is damaged."""
    import pyarrow
    import pyarrow.parquet

    try:
        return int(pyarrow.parquet.read_metadata(regular(path)).num_rows)
    except (pyarrow.ArrowException, OSError) as error:
        if is_machine_error(error):
            raise
        raise damaged(path) from None


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items; the last may be shorter."""
    left = iter(items)
    while chunk := list(itertools.islice(left, size)):
        yield chunk
