"""Several sources of images as one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

from annotated_types import MinLen

from realism.data.types import Record
from realism.parts import Images
from realism.parts.step import called_twice

KEY = "source"
"""The key of a record's metadata that names its source."""


@dataclass
class Union(Images):
    """All images of several sources, one source after the other, as a database of ImageNet, Cars and Flowers is.

    The id of a record is that of its source behind the source's name and a slash. `source` in its metadata names the
    source, where the source itself has not said another.
    """

    sources: Annotated[list[Images], MinLen(2)]
    """The sources."""

    def options_error(self) -> str | None:
        return called_twice(self.sources, "source")

    def records(self) -> Iterator[Record]:
        for source in self.sources:
            for record in source.records():
                metadata = {KEY: source.part_name, **record.metadata}
                yield replace(record, id=f"{source.part_name}/{record.id}", metadata=metadata)
