"""The step `generate`: make pictures."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from realism.base.errors import RealismError, listed, nearest
from realism.base.tables import chunks, parts, read_part
from realism.data.rows import Aside, PromptRow, Reference, Sample
from realism.data.state import State
from realism.data.types import Prompt, Request, request_seed
from realism.parts import Generator
from realism.parts.step import NAME, NAME_SAID, NONE, Step, named
from realism.run.work import Work
from realism.sources.benchmarks import Benchmarks

if TYPE_CHECKING:
    from PIL import Image


MAX_SIDE = 2048
"""Longer references are shrunk to this many pixels as they are read; no generator takes more."""


@dataclass(frozen=True)
class Job:
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
    arm: str = "samples"
    """What to call these pictures in later steps and in the report."""
    per_prompt: Annotated[int, Ge(1)] = 1
    """How many pictures for each prompt."""
    references: str = ""
    """Which references the generator is given: those of the `retrieve` step of this name, or none; by default those
    found last."""
    learnt: bool = True
    """Whether the generator draws with what it has learnt in steps before, or with the weights it came with."""
    shard: Annotated[int, Ge(1)] = 64
    """How many pictures are written down at a time: a killed run makes at most so many anew."""

    def title(self) -> str:
        return f"generate {self.arm}"

    def options_error(self) -> str | None:
        if not NAME.fullmatch(self.arm):
            return f"'{self.arm}' is no name for an arm: {NAME_SAID}"
        return None

    def missing(self, there: Collection[str]) -> list[str]:
        wanted = []
        if "prompts" not in there:
            wanted.append("generate needs prompts: give the recipe the key 'prompts'")
        found = named(there, "references")
        if self.references not in ("", NONE, *found):
            near = nearest(self.references, [NONE, *found])
            wanted.append(f"references: no references '{self.references}'{near}; there are: {listed([NONE, *found])}")
        elif self._slot(there) and not self.generator.max_references:
            wanted.append(
                f"'{self.generator.part_name}' takes no reference images, but 'retrieve' stands before: take a "
                "generator that does, move this step up or say 'references: none'"
            )
        return wanted

    def stands_for(self, before: Sequence[Step]) -> Sequence[Step]:
        writers = [step for step in before if "prompts" in step.makes(())]
        if writers and isinstance(getattr(writers[-1], "source", None), Benchmarks):
            raise ValueError(
                "the prompts here are those of the benchmarks evaluated before, which nothing should learn from: put a "
                "step 'prompts' before this"
            )
        return [self]

    def _slot(self, there: Collection[str]) -> str | None:
        """The slot of the references to use, None for none."""
        found = [] if self.references == NONE else named(there, "references")
        return f"references:{self.references or found[-1]}" if found else None

    def reads(self, there: Collection[str]) -> list[str]:
        return [s for s in there if s in ("prompts", self._slot(there))]

    def makes(self, there: Collection[str]) -> list[str]:
        return [f"samples:{self.arm}"]

    def with_learnt(self) -> bool:
        return self.learnt

    def voids(self, there: Collection[str]) -> list[str]:
        return [s for s in there if s.startswith(f"scores:{self.arm}:")]

    def run(self, state: State, work: Work) -> Mapping[str, Path]:
        folder = work.folder / "images"
        folder.mkdir(exist_ok=True)

        def make(_: int, jobs: list[Job]) -> tuple[Sequence[Sample], Sequence[Aside]]:
            return self._make(jobs, folder, work)

        shards = chunks(self._jobs(state), self.shard)
        total = sum(1 for _ in self._jobs(state))
        return {f"samples:{self.arm}": work.map(shards, make, Sample, "samples", total=total, unit="images")}

    def _jobs(self, state: State) -> Iterator[Job]:
        slot = self._slot(state)
        references = parts(state.path(slot)) if slot else []
        prompts = parts(state.path("prompts"))
        if slot and len(references) != len(prompts):
            folder = state.path(slot).parent
            raise RealismError(f"the references in '{folder}' are not whole; remove that folder and run again")
        for number, path in enumerate(prompts):
            found: dict[str, list[Reference]] = {}
            for row in read_part(references[number], Reference) if references else []:
                found.setdefault(row.prompt_id, []).append(row)
            for prompt in read_part(path, PromptRow):
                best = tuple(found.get(prompt.id, ())[: self.generator.max_references])
                for i in range(self.per_prompt):
                    yield Job(prompt, i, best, (slot or "").removeprefix("references:"))

    def _make(self, jobs: list[Job], folder: Path, work: Work) -> tuple[list[Sample], list[Aside]]:
        from realism.base.images import write_images

        aside: list[Aside] = []
        ready = list(self._requests(jobs, work, aside))
        images = self.generator.generate([request for _, request in ready]) if ready else []
        prompts = [request.prompt for _, request in ready]
        reasons = work.run.screen(self.title(), images, prompts)
        samples: list[Sample] = []
        kept: list[Image.Image] = []
        for (job, request), image, reason in zip(ready, images, reasons, strict=True):
            name = _name(job)
            if reason is not None:
                aside.append(Aside(name, self.title(), reason))
                continue
            path = folder / f"{name}.png"
            samples.append(self._sample(job, request, name, path.relative_to(work.run.folder), image))
            kept.append(image)
        write_images([work.run.folder / sample.image for sample in samples], kept)
        return samples, aside

    def _requests(self, jobs: list[Job], work: Work, aside: list[Aside]) -> Iterator[tuple[Job, Request]]:
        from realism.base.images import UnreadableImage, read_images

        paths = list(dict.fromkeys(r.path for job in jobs for r in job.references))
        images = dict(zip(paths, read_images(paths, max_side=MAX_SIDE), strict=True))
        for lost in [image for image in images.values() if isinstance(image, UnreadableImage)]:
            work.run.warn(f"{self.title()}: reference {lost}; it is not used")
        for job in jobs:
            found = [(r, images[r.path]) for r in job.references]
            given = [(r, image) for r, image in found if not isinstance(image, UnreadableImage)]
            if found and not given:
                aside.append(Aside(_name(job), self.title(), f"reference {found[0][1]}"))
                continue
            job = replace(job, references=tuple(r for r, _ in given))  # what it was given, not what was found
            references = tuple(image for _, image in given)
            prompt = Prompt(job.prompt.id, job.prompt.text, job.prompt.subject, job.prompt.metadata)
            yield job, Request(prompt, request_seed(work.seed, prompt.id, job.number), references)

    def _sample(self, job: Job, request: Request, name: str, path: Path, image: Image.Image) -> Sample:
        return Sample(
            id=name,
            prompt_id=job.prompt.id,
            arm=self.arm,
            text=job.prompt.text,
            subject=job.prompt.subject,
            seed=request.seed,
            image=path.as_posix(),
            width=image.width,
            height=image.height,
            references=[r.path for r in job.references],
            retrieved=job.retrieved if job.references else "",
            generator=self.generator.part_name,
            metadata=job.prompt.metadata,
        )


def _name(job: Job) -> str:
    """A name for the picture's file: readable, and unique within the arm."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", job.prompt.id).strip("-")[:40]
    unique = hashlib.blake2b(job.prompt.id.encode(), digest_size=8).hexdigest()
    return f"{readable}-{unique}-{job.number}"
