"""Tables of the plugin."""

from __future__ import annotations

from dataclasses import dataclass

from realism.base.tables import Row


@dataclass(frozen=True)
class Draft(Row):
    """A picture that the generator drew of a text by itself (eq. 3). image is relative to the run's folder."""

    id: str
    text: str
    subject: str
    image: str


@dataclass(frozen=True)
class Negative(Row):
    """A database image, the text it answers to, and the reflective negative that was mined for the two (eq. 4).

    row, negative_row: rows of the database, whose ids are id and negative_id. similarity: cosine of the draft with the
    negative.
    """

    id: str
    row: int
    text: str
    draft: str
    negative_id: str
    negative_row: int
    similarity: float
