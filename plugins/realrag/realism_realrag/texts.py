"""The text that a database image answers to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from realism.base.errors import RealismError, listed
from realism.base.texts import spaced, with_article
from realism.data.rows import RecordRow

FIELD = re.compile(r"\{(\w+)\}")


def template_error(template: str) -> str | None:
    """One sentence if the template names no column, else None."""
    if FIELD.search(template):
        return None
    return f"text '{template}' names no column: expected one such as 'a photo of a {{subject}}' or '{{caption}}'"


def text_of(template: str, row: RecordRow) -> str:
    """The template with each {column} filled in from a record: its subject, with spaces for underscores, or a
    key of its metadata. Raises RealismError if the record has no such column, or nothing in it."""
    words = spaced(row.subject)
    columns: Mapping[str, Any] = {**row.metadata, "subject": words}

    def fill(found: re.Match[str]) -> str:
        value = columns.get(found[1])
        if value in (None, "") or value != value:
            raise RealismError(f"text '{template}': image '{row.id}' has no '{found[1]}'; it has: {listed(columns)}")
        return str(value)

    return FIELD.sub(fill, with_article(template, words))
