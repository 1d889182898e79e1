"""Tables of the plugin, and the artifact that the step `reflect` makes."""

from __future__ import annotations

from dataclasses import dataclass

from realism.base.tables import Row
from realism.data.artifacts import Artifact, ImageIndex


@dataclass(frozen=True)
class Draft(Row):
    """A picture that the generator drew of a text by itself (eq. 3). image is relative to the run's folder; place is
    that of its vector among those of its shard."""

    id: str
    text: str
    subject: str
    image: str
    place: int


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


@dataclass(frozen=True)
class Negatives(Artifact):
    """The reflective negatives of the images of a database, which was indexed with a retriever."""

    kind, noun, row = "negatives", "mining of reflective negatives", Negative
    advice = "put a step 'reflect' with that retriever before this, or say 'negatives: none'"

    retriever: str

    def derives_from(self) -> tuple[Artifact, ...]:
        return (ImageIndex(self.retriever),)
