"""Images that a table names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from realism.base.errors import RealismError, listed, nearest
from realism.base.files import user_path
from realism.data.types import Record
from realism.sources.listed import AtPath, ListedImages, path_in_table
from realism.sources.rows import read_columns, read_rows


@dataclass
class ImageTable(AtPath, ListedImages):
    """Images that a .csv, .parquet or .jsonl table names, one a row, in its order.

    Column `id`, if there is one, names the image; else its path does. All further columns go into the metadata. An
    image that is changed where it lies is not noticed by a later run; one that the table names anew is.
    """

    path: str
    """The table, absolute or relative to the working folder."""
    file: str = "file"
    """The column with the path of the image, absolute or relative to the table's folder; it may lead into a plain tar:
    00000.tar/000123.jpg."""
    subject: str = "subject"
    """The column with the subject; without a column of that name there are no subjects."""
    caption: str = "caption"
    """The column with the caption, which is called `caption` in the metadata whatever it is called in the table."""

    def problem(self) -> str | None:
        try:
            available = read_columns(self.place)
        except RealismError as error:
            return str(error)
        wanted = {"file": self.file, "subject": self.subject, "caption": self.caption}
        for option, column in wanted.items():
            if column not in available and (option == "file" or column != option):
                return f"{self.path}: no column '{column}'{nearest(column, available)}; available: {listed(available)}"
        return None

    def listed(self) -> Iterator[Record]:
        seen: set[str] = set()
        for place, row in read_rows(self.place):
            file = path_in_table(place, row, self.file)
            id = str(row.pop("id", file))
            if id in seen:
                raise RealismError(f"{place}: '{id}' comes a second time; give each image one row and one id")
            seen.add(id)
            subject = str(row.pop(self.subject, ""))
            if self.caption in row:
                row["caption"] = row.pop(self.caption)
            yield Record(id, self.place.parent / user_path(file), subject, row)
        if not seen:
            raise RealismError(f"{self.path}: no image in it")
