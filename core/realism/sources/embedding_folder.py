"""Images that were embedded before, by clip-retrieval or by the step `index`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realism.base.errors import RealismError, listed
from realism.base.files import regular, user_path
from realism.base.plain import Plain
from realism.data.types import Record
from realism.parts.sources import EmbeddedImages
from realism.sources.listed import AtPath, path_in_table
from realism.sources.rows import read_columns, read_rows

if TYPE_CHECKING:
    import numpy as np


@dataclass
class EmbeddingFolder(AtPath, EmbeddedImages):
    """Images with their vectors, in a folder as clip-retrieval or the step `index` writes it.

    img_emb/*.npy hold the vectors (n, d), metadata/*.parquet a row for each in the same order, both in the order of the
    file names. Columns besides those below go into the metadata. The images must lie on disk. The step `index` takes
    the vectors as they are, once its retriever gives the first images about the same ones.
    """

    path: str
    """The folder, absolute or relative to the working folder."""
    encoder: str
    """The model that made the vectors, such as ViT-B-32/laion2b_s34b_b79k; the manifest of the database says it."""
    images: str = ""
    """The folder where relative paths of images begin; the embedding folder, if none is given."""
    file: str = "image_path"
    """The column with the path of the image; it is also the id, unless there is a column `id`."""
    subject: str = "subject"
    """The column with the subject; without a column of that name there are no subjects."""

    def options_error(self) -> str | None:
        if not self.place.is_dir():
            return f"no folder '{self.path}'"
        for inner, suffix in (("img_emb", "npy"), ("metadata", "parquet")):
            if not any((self.place / inner).glob(f"*.{suffix}")):
                return f"'{self.path}' has no {inner}/*.{suffix}; expected a folder that clip-retrieval has written"
        return None

    def records(self) -> Iterator[Record]:
        return (record for record, _ in self.embedded())

    def embedded(self) -> Iterator[tuple[Record, np.ndarray]]:
        """See `EmbeddedImages.embedded`. Raises RealismError for a folder whose files do not belong together."""
        if problem := self.options_error():
            raise RealismError(problem)
        arrays = [_open(path) for path in sorted((self.place / "img_emb").glob("*.npy"))]
        tables = sorted((self.place / "metadata").glob("*.parquet"))
        if len(widths := {array.shape[1] for array in arrays}) > 1:
            raise RealismError(f"the vectors in '{self.path}' have {listed(widths)} numbers; expected one width")
        rows = sum(_count(table) for table in tables)
        if (vectors := sum(len(array) for array in arrays)) != rows:
            raise RealismError(f"'{self.path}' has {vectors} vectors, but metadata of {rows} images; copy it again")
        flat = (vector for array in arrays for vector in array)
        return zip(self._listed(tables), flat, strict=True)

    def _listed(self, tables: list[Path]) -> Iterator[Record]:
        seen: set[str] = set()
        root = user_path(self.images) if self.images else self.place
        for table in tables:
            for place, row in read_rows(table):
                if self.file not in row:
                    available = listed(read_columns(table))
                    raise RealismError(f"{place}: no path in column '{self.file}'; its columns are: {available}")
                file = path_in_table(place, row, self.file)
                id = str(row.pop("id", file))
                if id in seen:
                    raise RealismError(f"{place}: '{id}' comes a second time; give each image one row and one id")
                seen.add(id)
                subject = str(row.pop(self.subject, ""))
                yield Record(id, root / file, subject, _metadata(row))


def _metadata(row: dict[str, Any]) -> dict[str, Any]:
    """The other columns, and what the step `index` writes into `metadata` as JSON; an empty caption is none."""
    try:
        inner = Plain()(json.loads(row["metadata"]))
    except (KeyError, TypeError, ValueError, RecursionError):
        inner = None
    if isinstance(inner, dict):
        row = {k: v for k, v in row.items() if k != "metadata"} | inner
    return {k: v for k, v in row.items() if k != "caption" or v}


def _open(path: Path) -> np.ndarray:
    from numpy.lib.format import open_memmap

    try:
        array = open_memmap(regular(path), mode="r")
    except Exception as error:  # numpy raises many kinds for a damaged file
        if "Python objects" in str(error):
            raise RealismError(f"'{path}' holds Python objects; expected floats (n, d)") from None
        raise RealismError(f"'{path}' is no whole .npy file; copy it again") from None
    if array.ndim != 2 or array.dtype.kind != "f":
        raise RealismError(f"'{path}' holds {array.dtype} of shape {array.shape}; expected floats (n, d)")
    return array


def _count(table: Path) -> int:
    import pyarrow
    import pyarrow.parquet

    try:
        return int(pyarrow.parquet.read_metadata(regular(table)).num_rows)
    except (pyarrow.ArrowException, OSError):
        raise RealismError(f"'{table}' is no whole Parquet file; copy it again") from None
