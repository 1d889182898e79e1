"""The step `reflect`: mine reflective negatives."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Le
from realism.base.files import atomic_write, digest
from realism.base.tables import chunks, read, read_shard, read_vectors, shard_paths
from realism.data import artifacts
from realism.data.artifacts import Artifact, Exhibits
from realism.data.rows import Exhibit, RecordRow, Skipped
from realism.data.types import Prompt, Request, Unmade, request_seed
from realism.databases.database import Database
from realism.parts import Generator, Retriever, checked
from realism.parts.step import Artifacts, Step
from realism.parts.work import Shard, Table, Work

from .tables import Draft, Negative, Negatives
from .texts import template_error, text_of

if TYPE_CHECKING:
    import numpy as np

    from .mining import Miner

SHARD = 64
SHOWN = 24
"""Negatives in the report."""


@dataclass
class Reflect(Step):
    """Mine reflective negatives: draw the text of each database image, and take the wrong image nearest to the drawing.

    What the generator draws by itself shows what it knows; the database image most like it is what a retriever need not
    find. Source: RealRAG (Lyu et al. 2025) eq. 3 and 4. Pictures are drawn without references.
    """

    generator: Generator
    """What draws."""
    retriever: Retriever
    """What embeds; the database must be indexed with it."""
    text: str = "a photo of a {subject}"
    """The text of a database image: columns in braces, such as {subject} or {caption}. The image is its positive."""
    drafts: Annotated[int, Ge(1), Le(100)] = 4
    """Pictures to draw of each different text; the images that share a text take them in turn."""
    own_class: Literal["exclude", "allow"] = "exclude"
    """Whether an image of the subject of the positive, or of its text if it has none, may be its negative. allow is
    eq. 4 as printed; it pushes a text away from images it is right for, wherever the generator draws it well."""
    near_duplicate: Annotated[float, Ge(0), Le(1.01)] = 0.94
    """An image of at least this cosine with the positive is never its negative; above 1 rules out none."""

    def title(self) -> str:
        return "reflect"

    def options_error(self) -> str | None:
        return template_error(self.text)

    def reads(self, available: Artifacts) -> list[Artifact]:
        return [artifacts.ImageIndex(self.retriever.part_name)]

    def writes(self, available: Artifacts) -> list[Artifact]:
        return [self._negatives, self._exhibits]

    @property
    def _negatives(self) -> Negatives:
        return Negatives(self.retriever.part_name)

    @property
    def _exhibits(self) -> Exhibits:
        return Exhibits(f"reflective negatives ({self.retriever.part_name})")

    def run(self, work: Work) -> None:
        from .mining import Miner

        database = Database.of(work.state, self.retriever)
        total = sum(1 for _ in self._jobs(database))
        draw = partial(self._draw, work.folder, work.root, work.seed)
        shards = chunks(self._jobs(database), SHARD)
        drawn = work.map(
            Table(Draft, "drafts"), shards, draw, total=total, unit="images", then=partial(self._screened, work)
        )
        classes = (row.subject or text_of(self.text, row) for row in database.rows())
        miner = Miner(self.retriever, database, classes, self.near_duplicate, self.own_class == "allow")
        mine = partial(self._mine, miner, _Drafts(work.folder, drawn), database)
        rows = chunks(self._turns(database), 8 * SHARD)
        negatives = work.map(self._negatives, rows, mine, total=len(database), unit="negatives")
        work.write(self._exhibits, list(_exhibits(negatives, database)))

    def _jobs(self, database: Database) -> Iterator[tuple[str, str, int]]:
        """Text, subject and number of each picture to draw."""
        counts: dict[str, int] = {}
        for row in database.rows():
            text = text_of(self.text, row)
            number = counts.get(text, 0)
            if number < self.drafts:
                counts[text] = number + 1
                yield text, row.subject, number

    def _turns(self, database: Database) -> Iterator[tuple[int, RecordRow, int]]:
        """Each row of the database, its record, and how many before it have the same text."""
        seen: dict[str, int] = {}
        for row, record in enumerate(database.rows()):
            text = text_of(self.text, record)
            seen[text] = turn = seen.get(text, -1) + 1
            yield row, record, turn

    def _draw(self, folder: Path, root: Path, seed: int, number: int, jobs: list[tuple[str, str, int]]) -> Shard:
        import numpy as np
        from realism.base.images import write_images

        prompts = [_prompt(text, subject) for text, subject, _ in jobs]
        seeds = [request_seed(seed, p.id, n) for p, (_, _, n) in zip(prompts, jobs, strict=True)]
        made = checked.generate(self.generator, [Request(p, s) for p, s in zip(prompts, seeds, strict=True)])
        names = [f"{digest(text)[:16]}-{n}" for text, _, n in jobs]
        skipped = [
            Skipped(n, self.title(), i.reason) for n, i in zip(names, made, strict=True) if isinstance(i, Unmade)
        ]
        kept = [i for i, image in enumerate(made) if not isinstance(image, Unmade)]
        images = [image for image in made if not isinstance(image, Unmade)]
        names, jobs = [names[i] for i in kept], [jobs[i] for i in kept]
        paths = [folder / "images" / f"{name}.png" for name in names]
        write_images(paths, images)
        vectors = self.retriever.encode_images(images)
        (folder / "drafts").mkdir(exist_ok=True)
        with atomic_write(_vectors(folder / "drafts", number)) as path, path.open("wb") as file:
            np.save(file, vectors)
        return [
            Draft(name, text, subject, path.relative_to(root).as_posix(), place)
            for place, (name, (text, subject, _), path) in enumerate(zip(names, jobs, paths, strict=True))
        ], skipped

    def _screened(self, work: Work, _: int, shard: Shard) -> Shard:
        """What is left of drafts just made once plugins have looked at them."""
        from realism.base.images import read_image

        drafts: list[Draft] = list(shard[0])  # type: ignore[arg-type]
        prompts = [_prompt(draft.text, draft.subject) for draft in drafts]
        reasons = work.screen(lambda: [read_image(work.root / draft.image) for draft in drafts], prompts)
        skipped = [
            Skipped(d.id, work.title, reason) for d, reason in zip(drafts, reasons, strict=True) if reason is not None
        ]
        return [d for d, reason in zip(drafts, reasons, strict=True) if reason is None], [*shard[1], *skipped]

    def _mine(
        self, miner: Miner, drafts: _Drafts, database: Database, _: int, rows: list[tuple[int, RecordRow, int]]
    ) -> Shard:
        import numpy as np

        texts = [text_of(self.text, record) for _, record, _ in rows]
        drawn = [drafts.of(text, turn) for text, (_, _, turn) in zip(texts, rows, strict=True)]
        kept = [i for i, draft in enumerate(drawn) if draft is not None]
        skipped = [
            Skipped(rows[i][1].id, self.title(), "no draft of its text") for i, d in enumerate(drawn) if d is None
        ]
        chosen = [draft for draft in drawn if draft is not None]
        if not kept:
            return [], skipped
        mined = miner.mine(np.stack([vector for _, vector in chosen]), [rows[i][0] for i in kept])
        made = []
        for i, (draft, _vector), negative in zip(kept, chosen, mined, strict=True):
            row, record, _turn = rows[i]
            if negative is None:
                skipped.append(
                    Skipped(record.id, self.title(), "every other image is of its class or a near-duplicate")
                )
                continue
            other, similarity = negative
            id = database.record(other).id
            made.append(Negative(record.id, row, texts[i], draft.image, id, other, similarity))
        return made, skipped


class _Drafts:
    """The drafts of each text, with their embeddings: where each lies is in memory, and a few parts of them."""

    def __init__(self, folder: Path, table: Path):
        self._parts, self._folder = shard_paths(table), folder / "drafts"
        self._at: dict[str, list[tuple[int, int]]] = {}
        for number, path in enumerate(self._parts):
            for i, draft in enumerate(read_shard(path, Draft)):
                self._at.setdefault(draft.text, []).append((number, i))

    def of(self, text: str, turn: int) -> tuple[Draft, np.ndarray] | None:
        """The draft that the turn-th image of a text takes. None if all were skipped."""
        places = self._at.get(text)
        if not places:
            return None
        number, i = places[turn % len(places)]
        drafts, vectors = _part(self._parts[number], _vectors(self._folder, number))
        return drafts[i], vectors[drafts[i].place]


@functools.lru_cache(maxsize=16)
def _part(table: Path, vectors: Path) -> tuple[list[Draft], np.ndarray]:

    return read_shard(table, Draft), read_vectors(vectors)


def _prompt(text: str, subject: str) -> Prompt:
    return Prompt(f"reflect/{digest(text)}", text, subject)


def _exhibits(negatives: Path, database: Database) -> Iterator[Exhibit]:
    """What the report shows: one negative a text, texts in the order of a hash of them."""
    first: dict[str, Negative] = {}
    for row in read(negatives, Negative):
        first.setdefault(row.text, row)
    for text in sorted(first, key=digest)[:SHOWN]:
        row = first[text]
        positive, negative = database.record(row.row), database.record(row.negative_row)
        captions = [
            "drawn by the generator",
            f"its reflective negative: {negative.id}, cosine {row.similarity:.2f}",
            f"the positive: {positive.id}",
        ]
        yield Exhibit(text, "", [row.draft, str(negative.path), str(positive.path)], captions)


def _vectors(folder: Path, number: int) -> Path:
    return folder / f"vectors-{number:05d}.npy"
