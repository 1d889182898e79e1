"""Features of images in a run: computed once a shard, kept, and read again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from realism.base.errors import RealismError
from realism.base.files import digest, write_aside
from realism.base.tables import chunks, read
from realism.data.rows import Aside, RecordRow, Sample
from realism.parts import Images, Retriever
from realism.run.fingerprint import describe
from realism.run.work import Work

if TYPE_CHECKING:
    import numpy as np

SHARD = 256
AT_ONCE = 128
MAX_SIDE = 1024
"""Longer images are shrunk to this many pixels as they are read: no encoder sees more, and memory stays flat."""


def features_of_records(encoder: Retriever, images: Images, work: Work) -> tuple[np.ndarray, list[RecordRow]]:
    """Features (n, d) float32 of a collection, and the record of each row; what cannot be read is set aside."""
    return features_of_rows(encoder, rows_of(images), f"real-{images.part_name}", work)


def rows_of(images: Images) -> Iterator[RecordRow]:
    """The records of a collection as rows of a table."""
    return (RecordRow(r.id, str(r.path.absolute()), r.subject, dict(r.metadata)) for r in images.records())


def features_of_samples(encoder: Retriever, samples: Sequence[Sample], arm: str, work: Work) -> np.ndarray:
    """Features (n, d) float32 of samples, in their order. Raises RealismError if one cannot be read."""
    rows = (RecordRow(s.id, s.image) for s in samples)
    found, read_rows = features_of_rows(encoder, rows, f"arm-{arm}", work)
    if len(read_rows) != len(samples):
        gone = len(samples) - len(read_rows)
        raise RealismError(f"{work.title}: {gone} images of arm '{arm}' cannot be read any more; make them again")
    return found


def features_of_rows(
    encoder: Retriever, rows: Iterable[RecordRow], name: str, work: Work
) -> tuple[np.ndarray, list[RecordRow]]:
    """Features (n, d) float32 of the images that can be read, and their rows. name: what they are kept under."""
    import numpy as np

    key = digest([describe(encoder, {}), name])[:12]  # two arms, or two encoders, may have names that look alike
    folder = f"features/{re.sub(r'[^A-Za-z0-9]+', '-', f'{encoder.part_name}-{name}')}-{key}"

    def encode(number: int, shard: list[RecordRow]) -> tuple[Sequence[RecordRow], Sequence[Aside]]:
        good, aside, vectors = encode_records(encoder, shard, work.title, work.run.folder)
        if good:
            with write_aside(_vectors(work.folder / folder, number)) as path, path.open("wb") as file:
                np.save(file, vectors)
        return good, aside

    table = work.map(chunks(rows, SHARD), encode, RecordRow, folder, unit="images")
    found = [np.load(path) for path in sorted(table.glob("features-*.npy"))]
    return (np.concatenate(found) if found else np.zeros((0, 1), np.float32)), list(read(table, RecordRow))


def _vectors(folder: Path, number: int) -> Path:
    return folder / f"features-{number:05d}.npy"


def encode_records(
    encoder: Retriever, records: Sequence[RecordRow], step: str, root: Path = Path()
) -> tuple[list[RecordRow], list[Aside], np.ndarray]:
    """The records whose images can be read, what is set aside, and the vectors (n, d) float32 of the first.

    root is where relative paths begin."""
    import numpy as np

    from realism.base.images import UnreadableImage, read_images

    good: list[RecordRow] = []
    aside: list[Aside] = []
    vectors: list[np.ndarray] = []
    images = read_images((root / r.path for r in records), max_side=MAX_SIDE, ahead=AT_ONCE)
    for batch in chunks(zip(records, images, strict=True), AT_ONCE):
        readable = []
        for record, image in batch:
            if isinstance(image, UnreadableImage):
                aside.append(Aside(record.id, step, image.reason))
            else:
                good.append(record)
                readable.append(image)
        if readable:
            vectors.append(encoder.encode_images(readable))
    return good, aside, np.concatenate(vectors) if vectors else np.zeros((0, 1), np.float32)
