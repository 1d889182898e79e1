"""The step `generate`: make pictures."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le

from realism.base.errors import damaged
from realism.base.tables import Row, chunks, count_rows, read_shard, write_shard
from realism.data.artifacts import Artifact, PromptTable, References, Samples
from realism.data.rows import NOT_KNOWN, PromptRow, Reference, Sample, Skipped
from realism.data.types import Prompt, Request, Unmade, request_seed
from realism.parts import Generator, checked
from realism.parts.step import NONE, Artifacts, Step, name_error
from realism.parts.work import Shard, Table, Work

if TYPE_CHECKING:
    from PIL import Image


MAX_SIDE = 2048
"""Longer references are shrunk to this many pixels as they are read; no generator takes more."""


@dataclass(frozen=True)
class PlainRow(Row):
    """A picture that is of one colour throughout."""

    id: str


PLAIN = Table(PlainRow, "one_colour")


@dataclass(frozen=True)
class DrawJob:
    """One picture to make: the prompt, which of its pictures, the references found for it and what these are called."""

    prompt: PromptRow
    number: int
    references: tuple[Reference, ...]
    retrieved: str


@dataclass
class Generate(Step):
    """Make pictures of the prompts, with the references that were retrieved for them before, if any.

    The pictures and their table form an arm, to be compared with other arms. Noise depends on the recipe's seed, the
    prompt and the picture's number alone, so that arms are compared on equal noise.
    """

    generator: Generator
    """What makes the pictures."""
    name: str = "samples"
    """What to call these pictures, as an arm, in later steps and in the report."""
    per_prompt: Annotated[int, Ge(1), Le(10_000)] = 1
    """How many pictures for each prompt."""
    references: str = ""
    """Which references the generator is given: those of this name, or none; by default those found last."""
    prompts: str = ""
    """The name of the prompts to draw; by default those of the recipe, or of the last step that made some without a
    name."""
    trained: bool = True
    """Whether the generator draws with the weights trained in steps before, or with those it came with."""
    shard: Annotated[int, Ge(1), Le(10_000)] = 64
    """How many pictures are written down at a time: a killed run makes at most so many anew."""

    def title(self) -> str:
        return f"generate {self.name}"

    def options_error(self) -> str | None:
        return name_error(self.name)

    def conflicts(self, available: Artifacts) -> list[str]:
        if self.prompts and self.references not in ("", NONE):
            return [
                f"references: '{self.references}' were found for the recipe's own prompts, not for '{self.prompts}': "
                "leave out one of the two options"
            ]
        if self._references(available) is None or self.generator.max_references:
            return []
        return [
            f"'{self.generator.part_name}' takes no reference images, but 'retrieve' stands before: take a generator "
            "that does, move this step up or say 'references: none'"
        ]

    def _references(self, available: Artifacts) -> References | None:
        """The references to use, None for none."""
        if self.references == NONE or (self.prompts and not self.references):
            return None
        if self.references:
            return References(self.references)
        return next(reversed(References.among(available)), None)

    def reads(self, available: Artifacts) -> list[Artifact]:
        references = self._references(available)
        return [PromptTable(self.prompts), *([references] if references else [])]

    def writes(self, available: Artifacts) -> list[Artifact]:
        return [Samples(self.name)]

    def run(self, work: Work) -> None:
        make = partial(self._make, work.folder, work.root, work.seed)
        shards = chunks(self._jobs(work), self.shard)
        total = self.per_prompt * count_rows(work.path(PromptTable(self.prompts)))
        table = work.map(
            Samples(self.name), shards, make, total=total, unit="images", then=partial(screened, work), also=[PLAIN]
        )
        if plain := count_rows(work.folder / PLAIN.place):
            message = f"{plain:,} pictures of arm '{self.name}' are of one colour throughout"
            work.run.warn(f"{self.title()}: {message}; there are {count_rows(table):,}")

    def _jobs(self, work: Work) -> Iterator[DrawJob]:
        slot = self._references(work.state)
        references = work.shard_paths(slot) if slot else []
        prompts = work.shard_paths(PromptTable(self.prompts))
        if slot and len(references) != len(prompts):
            raise damaged(work.path(slot))
        for number, path in enumerate(prompts):
            found: dict[str, list[Reference]] = {}
            for row in read_shard(references[number], Reference) if references else []:
                found.setdefault(row.prompt_id, []).append(row)
            for prompt in read_shard(path, PromptRow):
                best = tuple(found.get(prompt.id, ())[: self.generator.max_references])
                for i in range(self.per_prompt):
                    yield DrawJob(prompt, i, best, slot.name if slot else "")

    def _make(self, folder: Path, root: Path, seed: int, number: int, jobs: list[DrawJob]) -> Shard:
        from realism.base.images import of_one_colour, write_images

        skipped: list[Skipped] = []
        ready = list(self._requests(jobs, seed, skipped))
        made = checked.generate(self.generator, [request for _, request in ready]) if ready else []
        samples, images = [], []
        for (job, request), image in zip(ready, made, strict=True):
            if isinstance(image, Unmade):
                skipped.append(Skipped(_name(job), self.title(), image.reason))
            else:
                samples.append(
                    self._sample(job, request, (folder / "images" / f"{_name(job)}.png").relative_to(root), image)
                )
                images.append(image)
        write_images([root / sample.image for sample in samples], images)
        plain = [PlainRow(sample.id) for sample, image in zip(samples, images, strict=True) if of_one_colour(image)]
        write_shard(plain, PlainRow, folder / PLAIN.place, number)
        return samples, skipped

    def _requests(self, jobs: list[DrawJob], seed: int, skipped: list[Skipped]) -> Iterator[tuple[DrawJob, Request]]:
        from realism.base.images import UnreadableImage, read_images

        paths = list(dict.fromkeys(r.path for job in jobs for r in job.references))
        images = dict(zip(paths, read_images(paths, max_side=MAX_SIDE), strict=True))
        for lost in [image for image in images.values() if isinstance(image, UnreadableImage)]:
            logging.getLogger("realism").warning(f"{self.title()}: reference {lost}; it is not used")
        for job in jobs:
            found = [(r, images[r.path]) for r in job.references]
            given = [(r, image) for r, image in found if not isinstance(image, UnreadableImage)]
            if found and not given:
                skipped.append(Skipped(_name(job), self.title(), f"reference {found[0][1]}"))
                continue
            job = replace(job, references=tuple(r for r, _ in given))  # what it was given, not what was found
            references = tuple(image for _, image in given)
            prompt = Prompt(**vars(job.prompt))
            yield job, Request(prompt, request_seed(seed, prompt.id, job.number), references)

    def _sample(self, job: DrawJob, request: Request, path: Path, image: Image.Image) -> Sample:
        return Sample(
            id=_name(job),
            prompt_id=job.prompt.id,
            arm=self.name,
            text=job.prompt.text,
            subject=job.prompt.subject,
            seed=request.seed,
            image=path.as_posix(),
            width=image.width,
            height=image.height,
            references=[r.path for r in job.references],
            retrieved=job.retrieved if job.references else "",
            reference_subjects=[r.subject for r in job.references],
            chance=job.references[0].chance if job.references else NOT_KNOWN,
            generator=self.generator.part_name,
            metadata=job.prompt.metadata,
            drawn_from=request.text,
        )


def screened(work: Work, _: int, shard: Shard) -> Shard:
    """What is left of samples just made once plugins have looked at the pictures; the files of others are removed."""
    from realism.base.images import read_image

    samples: list[Sample] = list(shard[0])  # type: ignore[arg-type]
    prompts = [Prompt(s.prompt_id, s.text, s.subject, s.metadata) for s in samples]
    reasons = work.screen(lambda: [read_image(work.root / s.image) for s in samples], prompts)
    skipped = [
        Skipped(s.id, work.title, reason) for s, reason in zip(samples, reasons, strict=True) if reason is not None
    ]
    for sample, reason in zip(samples, reasons, strict=True):
        if reason is not None:
            (work.root / sample.image).unlink()
    return [s for s, reason in zip(samples, reasons, strict=True) if reason is None], [*shard[1], *skipped]


def _name(job: DrawJob) -> str:
    """A name for the picture's file: readable, and unique within the arm."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", job.prompt.id).strip("-")[:40]
    unique = hashlib.blake2b(job.prompt.id.encode(), digest_size=8).hexdigest()
    return f"{readable}-{unique}-{job.number}"
