"""The step `photographs`: real images as an arm, to be scored and shown beside what was drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, NamedTuple

from annotated_types import Ge, Le

from realism.base.files import digest
from realism.base.tables import chunks
from realism.base.texts import readable
from realism.data.artifacts import Artifact, PromptTable, Samples
from realism.data.rows import PromptRow, RecordRow, Sample, Skipped
from realism.data.writable import name_problem
from realism.parts import Images
from realism.parts.embedder import rows_of
from realism.parts.step import Artifacts, Step, name_error
from realism.parts.work import Shard, Work

SHARD = 256


class CopyJob(NamedTuple):
    """A prompt, which of its pictures, and the photograph to take; None if no other photograph shows its subject."""

    prompt: PromptRow
    number: int
    record: RecordRow | None


@dataclass
class Photographs(Step):
    """Make an arm of real images: for each prompt, photographs of its subject, drawn by a hash of the prompt's id.

    A prompt without a subject gets any of them; where a subject has too few, the rest is skipped. Where a recipe has
    no prompts, each photograph is a prompt of its own, with its caption, or else its subject, as the text. What is
    shown here is kept out of databases, as what is evaluated against.
    """

    images: Images
    """The real images, with subjects named as in the prompts."""
    name: str = "real"
    """What to call them, as an arm."""
    per_prompt: Annotated[int, Ge(1), Le(10_000)] = 1
    """How many for each prompt."""

    scope = "recipe"
    evaluates_against = ("images",)

    def title(self) -> str:
        return f"photographs {self.name}"

    def options_error(self) -> str | None:
        return name_error(self.name)

    def reads(self, available: Artifacts) -> list[Artifact]:
        return [PromptTable()] if PromptTable() in available else []

    def writes(self, available: Artifacts) -> list[Artifact]:
        return [Samples(self.name)]

    def run(self, work: Work) -> None:
        jobs = self._of_prompts(work) if PromptTable() in work.state else self._by_themselves()
        work.map(Samples(self.name), chunks(jobs, SHARD), partial(_samples, self.name, work.title), unit="images")

    def _of_prompts(self, work: Work) -> Iterator[CopyJob]:
        wanted = {row.subject for row in work.read(PromptTable())}
        shown: dict[str, list[RecordRow]] = {}
        for record in rows_of(self.images):
            for subject in {record.subject, ""} & wanted:
                shown.setdefault(subject, []).append(record)
        for prompt in work.read(PromptTable()):
            available = shown.get(prompt.subject, [])
            first = int(digest(prompt.id), 16)
            for number in range(self.per_prompt):  # no photograph twice
                yield CopyJob(
                    prompt, number, available[(first + number) % len(available)] if number < len(available) else None
                )

    def _by_themselves(self) -> Iterator[CopyJob]:
        for r in rows_of(self.images):
            text = str(r.metadata.get("caption") or r.subject)
            yield CopyJob(PromptRow(r.id, text, r.subject, r.metadata), 0, r)


def _samples(arm: str, step: str, _: int, jobs: list[CopyJob]) -> Shard:
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    for prompt, number, record in jobs:
        if record is None:
            other = "other " if number else ""
            skipped.append(Skipped(prompt.id, step, f"no {other}photograph shows '{prompt.subject}'"))
        elif isinstance(size := _size(record), str):
            skipped.append(Skipped(readable(record.id), step, size))
        else:
            samples.append(
                Sample(
                    id=f"{digest(prompt.id)[:16]}-{number}",
                    prompt_id=prompt.id,
                    arm=arm,
                    text=prompt.text,
                    subject=prompt.subject,
                    seed=0,
                    image=record.path,
                    width=size[0],
                    height=size[1],
                    metadata=prompt.metadata,
                )
            )
    return samples, skipped


def _size(record: RecordRow) -> tuple[int, int] | str:
    """Width and height of an image, or why it cannot be used."""
    from realism.base.images import UnreadableImage, read_image

    if reason := name_problem(record.id, record.path, record.subject):
        return reason
    try:
        return read_image(record.path).size
    except UnreadableImage as error:
        return error.reason
