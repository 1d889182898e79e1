"""Features of images, for metrics and maps."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np

from realism.base.errors import RealismError, remedy
from realism.base.features import FeatureRows
from realism.base.files import digest
from realism.base.tables import chunks, read
from realism.data.artifacts import Samples
from realism.data.rows import RecordRow, Sample
from realism.parts import ImageEncoder
from realism.parts.embedder import SHARD, Embedder, KeyedRow
from realism.parts.work import Shard, Table, Work
from realism.runs.fingerprint import describe


def features_of_samples(encoder: ImageEncoder, arm: str, work: Work) -> FeatureRows:
    """Features (n, d) of the samples of an arm, in their order. Raises RealismError if one cannot be read."""
    rows = (record_of(sample) for sample in work.read(Samples(arm)))
    found, _ = features_of(encoder, rows, f"arm-{arm}", work)
    gone = sum(1 for _ in work.read(Samples(arm))) - len(found)
    if gone:
        again = remedy(work.root / next(work.read(Samples(arm))).image, "put them back")
        raise RealismError(f"{work.title}: {gone} images of arm '{arm}' cannot be read any more; {again}")
    return found


def record_of(sample: Sample) -> RecordRow:
    """The picture of a sample, as an image on disk."""
    return RecordRow(sample.id, sample.image, sample.subject)


def features_of(encoder: ImageEncoder, rows: Iterable[RecordRow], name: str, work: Work) -> tuple[FeatureRows, Path]:
    """Features (n, d) of the images that can be read, and the table of these (of `KeyedRow`); others are skipped.
    name: what the table is called."""
    key = digest([describe(encoder, {}), name])[:12]  # different names may become one file name
    place = f"features/{re.sub(r'[^A-Za-z0-9]+', '-', f'{encoder.part_name}-{name}')}-{key}"
    embed = partial(_embed, work.embedder, encoder, work.title)
    work.embedder.drop_uncached(work.folder / place, work.embedder.vector_cache(encoder))
    table = work.map(Table(KeyedRow, place), chunks(rows, SHARD), embed, unit="images")
    keys = np.fromiter((row.key.encode() for row in read(table, KeyedRow)), "S32")

    def take(at: np.ndarray) -> np.ndarray:
        return work.embedder.vectors(encoder, keys[at])

    return FeatureRows(take, np.arange(len(keys))), table


def _embed(embedder: Embedder, encoder: ImageEncoder, step: str, _: int, rows: list[RecordRow]) -> Shard:
    shard = embedder.embed(encoder, rows, step)
    embedder.flush()
    return shard
