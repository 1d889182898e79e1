"""The step `index`: embed a database of images, leave out what must not be found, and make it searchable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from realism.base.duplicates import BITS, DuplicateLimits
from realism.base.errors import RealismError
from realism.base.files import atomic_folder, atomic_write
from realism.base.tables import chunks, read_vectors, shard_path, shard_paths, write_shard
from realism.base.texts import readable
from realism.data import artifacts
from realism.data.artifacts import Artifact
from realism.data.rows import Skipped
from realism.data.types import Record
from realism.databases.database import DatabaseRow, Manifest
from realism.databases.indexing import Encoded, duplicates_of, leaks_of, unit_rows, vectors_fit
from realism.databases.leaks import evaluation_sets
from realism.parts import Images, Retriever, checked
from realism.parts.embedder import SHARD, Embedder, KeyedRow, VectorMemory, row_of
from realism.parts.sources import EmbeddedImages
from realism.parts.step import Artifacts, Step
from realism.parts.work import Shard, Table, Work
from realism.runs.fingerprint import describe, encoder_of, trained_by


@dataclass
class BuildIndex(Step):
    """Embed the images of a database with a retriever, and build its index.

    Writes img_emb/*.npy (n, d) float32 and metadata/*.parquet, row by row alike, as clip-retrieval does. Images that
    the recipe also evaluates against (the option `real` of its steps, rewards and metrics) are left out, loudly. What
    was embedded stays in the run's folder `embeddings`: when the database has grown, only its new images are embedded.
    """

    images: Images
    """The database."""
    retriever: Retriever
    """What embeds the images; its `index` option says how they are searched."""
    leaks: Literal["drop", "stop", "allow"] = "drop"
    """What to do about images that the recipe also evaluates against: leave them out, stop, or not look for any."""
    duplicates: Literal["keep", "drop"] = "keep"
    """Whether of images that are nearly the same only the first is kept; one that is mirrored is another image."""
    duplicate_cosine: Annotated[float, Ge(0), Le(1)] = 0.94
    """The least cosine of the vectors of two near-duplicates."""
    duplicate_bits: Annotated[int, Ge(0), Le(BITS)] = 24
    """The most bits, of 256, in which the perceptual hashes of two near-duplicates differ; at 256 the cosine alone
    decides."""

    scope = "recipe"

    def title(self) -> str:
        return f"index {self.retriever.part_name}"

    def reads(self, available: Artifacts) -> list[Artifact]:
        return []

    def writes(self, available: Artifacts) -> list[Artifact]:
        return [artifacts.ImageIndex(self.retriever.part_name)]

    def depends_on(self, steps: Sequence[Step]) -> list[Images]:
        """The collections that the recipe evaluates against, in which leaks are looked for."""
        return [] if self.leaks == "allow" else evaluation_sets(steps)

    def run(self, work: Work) -> None:
        folder = work.folder / artifacts.ImageIndex(self.retriever.part_name).place
        folder.mkdir(parents=True, exist_ok=True)
        foreign = isinstance(self.images, EmbeddedImages)
        memory = work.embedder.memory({"images": describe(self.images, {})}) if foreign else None
        vectors = memory.cache.take if memory else partial(work.embedder.vectors, self.retriever)
        encoded = Encoded(self._embed(memory, work), work.embedder, vectors)
        left_out = self._leaks(encoded, work)
        leaked = len(left_out)
        if self.duplicates == "drop":
            limits = DuplicateLimits(self.duplicate_cosine, self.duplicate_bits)
            left_out |= duplicates_of(encoded, self.retriever.index, limits, work.folder / "all", left_out)
        self._warn_without_vectors(left_out, leaked, encoded, work)
        made = self._write(encoded, left_out, folder)
        with atomic_folder(folder / "index") as searched:
            self.retriever.index.build((read_vectors(path) for path in made), searched)
        Manifest(
            retriever=self.retriever.part_name,
            encoder=encoder_of(self.retriever),
            trained=trained_by(self.retriever, work.state),
            vectors=f"{self.images.part_name}, by {self.images.encoder}" if foreign else "the retriever",  # type: ignore[attr-defined]
            rows=len(encoded) - len(left_out),
            width=int(read_vectors(made[0]).shape[1]),
            left_out={"leaks": leaked, "duplicates": len(left_out) - leaked},
            evaluated=[images.part_name for images in self._evaluated(work)],
            versions=work.run.versions(),
        ).write(folder)

    def _evaluated(self, work: Work) -> list[Images]:
        """The collections in which leaks are looked for: all that the recipe evaluates against but the database."""
        return [part for part in work.depends if isinstance(part, Images) and part != self.images]

    def _embed(self, memory: VectorMemory | None, work: Work) -> Path:
        """The table of records whose images can be read; vectors and perceptual hashes of all of them are kept.

        memory: where vectors that came with the images are kept; None if the retriever makes them."""
        total = sum(1 for _ in checked.records(self.images))
        embed = partial(self._embed_some, memory, work.embedder)
        cache = memory.cache if memory else work.embedder.vector_cache(self.retriever)
        work.embedder.drop_uncached(work.folder / "encoded", cache, hashes=True)
        table = work.map(Table(KeyedRow, "encoded"), chunks(self._listed(), SHARD), embed, total=total, unit="images")
        if not shard_paths(table):
            raise RealismError(f"index: '{self.images.part_name}' holds no image")
        return table

    def _embed_some(
        self, memory: VectorMemory | None, embedder: Embedder, number: int, pairs: list[tuple[Record, Any]]
    ) -> Shard:
        records = [row_of(record) for record, _ in pairs]
        if memory is None:
            shard = embedder.embed(self.retriever, records, "index", hashes=True)
            embedder.flush()
            return shard
        given = unit_rows({record.id: vector for record, vector in pairs})
        unusable = [
            Skipped(readable(r.id), "index", "its vector is zero or not finite") for r in records if r.id not in given
        ]
        rows, skipped = embedder.store(memory, given, [r for r in records if r.id in given], "index")
        embedder.flush()
        if number == 0:
            assert isinstance(self.images, EmbeddedImages)
            vectors_fit(self.images, self.retriever, rows, given)
        return rows, [*unusable, *skipped]

    def _listed(self) -> Iterator[tuple[Record, Any]]:
        if isinstance(self.images, EmbeddedImages):
            return self.images.embedded()
        return ((record, None) for record in checked.records(self.images))

    def _leaks(self, encoded: Encoded, work: Work) -> dict[int, str]:
        """Rows of images that the recipe evaluates against, and which each is."""
        if self.images in work.depends:
            work.warn(
                f"this recipe evaluates against '{self.images.part_name}', from which it also retrieves: what is "
                "retrieved is then among what is asked for; hold some images out"
            )
        found = leaks_of(encoded, self._evaluated(work), self.retriever, work)
        if found and self.leaks == "stop":
            raise RealismError(
                f"index: {len(found)} images of '{self.images.part_name}' are evaluated against, the first: "
                f"{next(iter(found.values()))}; hold them out, or say 'leaks: drop' to leave them out"
            )
        return found

    def _warn_without_vectors(self, left_out: Mapping[int, str], leaked: int, encoded: Encoded, work: Work) -> None:
        """Say what is left out, on the console and in the table of what was skipped."""
        if leaked:
            work.warn(
                f"LEAKS: {leaked} of {len(encoded)} images of '{self.images.part_name}' are images that this recipe "
                "evaluates against; they were left out of the database, see skipped.csv"
            )
        if len(left_out) > leaked:
            work.warn(f"{len(left_out) - leaked} near-duplicates in '{self.images.part_name}' were left out")
        skipped = [Skipped(encoded.row(row).id, "index", reason) for row, reason in sorted(left_out.items())]
        if skipped:  # not by `Work.map`, as they are no failures, and limits.skipped is for those
            work.write(Table(Skipped, "skipped/left_out"), skipped)
        if len(left_out) == len(encoded):
            raise RealismError(
                f"index: of '{self.images.part_name}' no image is left; the reasons are in {work.folder / 'skipped'}"
            )

    def _write(self, encoded: Encoded, left_out: Mapping[int, str], folder: Path) -> list[Path]:
        """The tables and vectors of the rows that are not left out, shard by shard; the files with vectors."""
        import numpy as np

        made = []
        (folder / "img_emb").mkdir(exist_ok=True)
        for number, (start, rows) in enumerate(encoded.blocks()):
            kept = [row for i, row in enumerate(rows, start) if i not in left_out]
            path = folder / "img_emb" / f"img_emb_{number:05d}.npy"
            if kept:
                made.append(path)
            if shard_path(folder / "metadata", number).exists():
                continue
            if kept:
                with atomic_write(path) as temporary, temporary.open("wb") as file:
                    np.save(file, encoded.vectors(kept))
            write_shard([_database_row(row) for row in kept], DatabaseRow, folder / "metadata", number)
        return made


def _database_row(row: KeyedRow) -> DatabaseRow:
    return DatabaseRow(row.id, row.path, str(row.metadata.get("caption", "")), row.subject, row.metadata)
