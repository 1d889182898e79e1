"""The step `index`: embed a database of images and make it searchable."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from realism.errors import RealismError
from realism.features import encode_records
from realism.files import renamed_folder, write_aside
from realism.parts import Images, Retriever
from realism.parts.step import Step
from realism.run.state import State
from realism.run.work import Work
from realism.tables import Aside, RecordRow, chunks

SHARD = 512


@dataclass
class BuildIndex(Step):
    """Embed the images of a database with a retriever, and build its index.

    Writes img_emb/*.npy (n, d) float32 and metadata/*.parquet, row by row alike, as clip-retrieval does.
    """

    images: Images
    """The database."""
    retriever: Retriever
    """What embeds the images; its `index` option says how they are searched."""

    seeded = False

    def title(self) -> str:
        return "index"

    def reads(self, there: Collection[str]) -> list[str]:
        return []

    def makes(self, there: Collection[str]) -> list[str]:
        return [f"index:{self.retriever.part_name}"]

    def run(self, state: State, work: Work) -> Mapping[str, Path]:
        import numpy as np

        vectors = work.folder / "img_emb"
        vectors.mkdir(exist_ok=True)

        def embed(number: int, records: list[RecordRow]) -> tuple[Sequence[RecordRow], Sequence[Aside]]:
            rows, aside, embedded = encode_records(self.retriever, records, "index")
            if rows:
                with write_aside(_vectors(vectors, number)) as path, path.open("wb") as file:
                    np.save(file, embedded)
            return rows, aside

        rows = (RecordRow(r.id, str(r.path.absolute()), r.subject, dict(r.metadata)) for r in self.images.records())
        total = sum(1 for _ in self.images.records())
        work.map(chunks(rows, SHARD), embed, RecordRow, "metadata", total=total, unit="images")
        made = sorted(vectors.glob("*.npy"))
        if not made:
            raise RealismError(f"index: '{self.images.part_name}' holds no image that can be read")
        with renamed_folder(work.folder / "index") as folder:
            self.retriever.index.build((np.load(path) for path in made), folder)
        return {f"index:{self.retriever.part_name}": work.folder}


def _vectors(folder: Path, number: int) -> Path:
    return folder / f"img_emb_{number:05d}.npy"
