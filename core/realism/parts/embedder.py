"""What a run caches of images: perceptual hashes, and vectors by each encoder, by a hash of their pixels."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from realism.base.duplicates import perceptual_hashes, pixel_hash
from realism.base.files import digest
from realism.base.image_cache import ImageCache, image_key
from realism.base.images import UnreadableImage, read_images
from realism.base.tables import chunks, read_shard, shard_paths
from realism.base.texts import readable
from realism.data.rows import RecordRow, Skipped
from realism.data.types import Record
from realism.data.writable import name_problem
from realism.parts import checked
from realism.parts.retriever import ImageEncoder, Projection
from realism.parts.returned import require, rows_error
from realism.parts.sources import Images

SHARD = 512
AT_ONCE = 128
"""Images in memory at a time."""
MAX_SIDE = 1024
"""Longer images are shrunk to this many pixels as they are read: no encoder sees more, and memory stays flat."""


@dataclass(frozen=True)
class KeyedRow(RecordRow):
    """A record, with the hash of its image's pixels."""

    key: str = ""


class VectorMemory:
    """The vectors of one encoder. A `realism.parts.retriever.Memory`."""

    def __init__(self, folder: Path):
        self.cache = ImageCache(folder)

    def rows(self, images: Sequence[Image.Image], embed: Callable[[list[Image.Image]], np.ndarray]) -> np.ndarray:
        """The vectors (n, d) float32 of the images; those that are not known are embedded, each once."""
        if not images:
            return embed([])
        keys = _hashed(images)
        new = {key: image for key, image in zip(keys, images, strict=True) if not self.cache.has([key])[0]}
        if new:
            self.cache.add(list(new), embed(list(new.values())))
        return self.cache.take(keys)


def _hashed(images: Sequence[Image.Image]) -> list[str]:
    if len(images) == 1 or images[0].width * images[0].height < 2**16:
        return [pixel_hash(image) for image in images]
    with ThreadPoolExecutor(4, thread_name_prefix="hash") as pool:  # hashing lets go of the interpreter's lock
        return list(pool.map(pixel_hash, images))


class Embedder:
    """One a run. Each image is read and hashed once, and goes through each encoder once, whichever step, reward or
    metric needs it. What is computed waits in memory for `flush`, which a run calls after each shard.

    The folder may be removed at any time; all in it is computed again when it is needed.
    """

    def __init__(self, folder: Path, root: Path):
        """root: where relative paths of images begin."""
        self._folder, self._root = folder, root
        self._pixels, self._hashes = ImageCache(folder / "pixels"), ImageCache(folder / "hashes")
        self._memories: dict[str, VectorMemory] = {}

    def memory(self, encoder: Mapping[str, Any], fresh: bool = False) -> VectorMemory:
        """The vectors of an encoder. encoder: a JSON-like value that differs where the vectors do.

        fresh: remove the cached ones."""
        name = f"vectors-{digest(encoder)[:16]}"
        if fresh:
            shutil.rmtree(self._folder / name, ignore_errors=True)
            self._memories.pop(name, None)
        if name not in self._memories:
            self._memories[name] = VectorMemory(self._folder / name)
        return self._memories[name]

    def flush(self) -> None:
        """Write down what is new."""
        for cache in (self._pixels, self._hashes, *(memory.cache for memory in self._memories.values())):
            cache.flush()

    def embed(
        self, encoder: ImageEncoder, records: Sequence[RecordRow], step: str, hashes: bool = False
    ) -> tuple[list[KeyedRow], list[Skipped]]:
        """Compute the vectors of the images, and with `hashes` their perceptual hashes, unless cached. Returns the
        records whose images can be read, and what is skipped."""
        source, cache = _source(encoder), self.vector_cache(encoder)
        return self._read(records, step, cache, lambda _, images: source.encode_images(images), hashes)

    def drop_uncached(self, table: Path, cache: ImageCache | None, hashes: bool = False) -> None:
        """Remove the shards of a table (of `KeyedRow`) with images that are no longer cached, as when somebody has
        removed the run's folder `embeddings` while the step was half done: `Work.map` makes them again.

        cache: of the vectors needed, None for none; hashes: whether perceptual hashes are needed."""
        needed = [cache for cache in (cache, self._hashes if hashes else None) if cache is not None]
        for path in shard_paths(table):
            keys = [row.key for row in read_shard(path, KeyedRow)]
            if not all(cache.has(keys).all() for cache in needed):
                path.unlink()

    def vector_cache(self, encoder: ImageEncoder) -> ImageCache | None:
        """The cache of the vectors of an encoder; None outside of a run."""
        memory = _source(encoder)._memory
        return memory.cache if isinstance(memory, VectorMemory) else None

    def hash_images(self, records: Sequence[RecordRow], step: str) -> tuple[list[KeyedRow], list[Skipped]]:
        """As `embed`, without vectors but with perceptual hashes."""
        return self._read(records, step, None, None, True)

    def store(
        self, memory: VectorMemory, vectors: Mapping[str, np.ndarray], records: Sequence[RecordRow], step: str
    ) -> tuple[list[KeyedRow], list[Skipped]]:
        """As `embed` with `hashes`, but the vectors (d,) are given, by id, and stored in a memory."""

        def add(rows: Sequence[KeyedRow], _: Sequence[Image.Image]) -> None:
            memory.cache.add([row.key for row in rows], np.stack([vectors[row.id] for row in rows]))

        return self._read(records, step, memory.cache, add, True)

    def vectors(self, encoder: ImageEncoder, keys: Sequence[str] | np.ndarray) -> np.ndarray:
        """The vectors (n, d) float32 of images that have been embedded."""
        if isinstance(encoder, Projection):
            rows = encoder.project(self.vectors(encoder.encoder, keys))
            require(encoder, rows_error("project", rows, len(keys)))
            return rows
        assert isinstance(encoder._memory, VectorMemory), "the retriever is used outside of a run"
        return encoder._memory.cache.take(keys)

    def hashes(self, keys: Sequence[str]) -> np.ndarray:
        """The perceptual hashes (n, 2, 4) of images that were hashed, and of their mirror images."""
        return self._hashes.take(keys)

    def _read(
        self,
        records: Sequence[RecordRow],
        step: str,
        cache: ImageCache | None,
        use: Callable[[Sequence[KeyedRow], Sequence[Image.Image]], object] | None,
        hashes: bool,
    ) -> tuple[list[KeyedRow], list[Skipped]]:
        """The records with their keys. Images are opened only if something of them is not cached: their pixels' hash,
        their perceptual hash if `hashes`, their vector if `use` is given."""
        nameless = [(r, name_problem(r.id, r.path, r.subject)) for r in records]
        records = [r for r, reason in nameless if reason is None]
        # pictures of the run itself, whose paths are relative, may be drawn anew in their places: they are always read
        lasting = {i: image_key(Path(r.path)) for i, r in enumerate(records) if Path(r.path).is_absolute()}
        available = self._pixels.has(list(lasting.values()))
        files = {i: file for (i, file), known in zip(lasting.items(), available.tolist(), strict=True) if known}
        pixels = self._pixels.take(list(files.values())).tolist() if files else []
        keys = {i: key.decode() for i, key in zip(files, pixels, strict=True)}
        have = list(keys.values())
        done = np.ones(len(have), bool) if not hashes else self._hashes.has(have)
        if use is not None:
            done &= cache.has(have) if cache else np.zeros(len(have), bool)
        complete = {i for i, available in zip(keys, done.tolist(), strict=True) if available}
        new = [i for i in range(len(records)) if i not in complete]
        skipped: dict[int, Skipped] = {}
        images = read_images((self._root / records[i].path for i in new), max_side=MAX_SIDE, ahead=AT_ONCE)
        with ThreadPoolExecutor(4, thread_name_prefix="hash") as pool:
            for batch in chunks(zip(new, images, strict=True), AT_ONCE):
                good = [(i, image) for i, image in batch if not isinstance(image, UnreadableImage)]
                skipped |= {
                    i: Skipped(records[i].id, step, e.reason) for i, e in batch if isinstance(e, UnreadableImage)
                }
                keys |= dict(zip((i for i, _ in good), pool.map(pixel_hash, (im for _, im in good)), strict=True))
                hashing = [pool.submit(perceptual_hashes, image) for _, image in good] if hashes else []
                if use is not None and good:
                    use([_keyed(records[i], keys[i]) for i, _ in good], [image for _, image in good])
                stable = [i for i, _ in good if i in lasting]
                self._pixels.add([lasting[i] for i in stable], np.array([keys[i] for i in stable], "S32"))
                if hashing:
                    self._hashes.add([keys[i] for i, _ in good], np.stack([future.result() for future in hashing]))
        rows = [_keyed(record, keys[i]) for i, record in enumerate(records) if i not in skipped]
        left = [Skipped(readable(r.id), step, reason) for r, reason in nameless if reason is not None]
        return rows, [*left, *(skipped[i] for i in sorted(skipped))]


def _source(encoder: ImageEncoder) -> ImageEncoder:
    """What embeds the images of a retriever: itself, or what it is a projection of."""
    return _source(encoder.encoder) if isinstance(encoder, Projection) else encoder


def _keyed(row: RecordRow, key: str) -> KeyedRow:
    return KeyedRow(row.id, row.path, row.subject, row.metadata, key)


def rows_of(images: Images) -> Iterator[RecordRow]:
    """The records of a collection as rows of a table; see `row_of`."""
    return map(row_of, checked.records(images))


def row_of(record: Record) -> RecordRow:
    """A record as a row, whose id, path and subject may still be no Unicode: the embedder skips it then."""
    return RecordRow(record.id, str(record.path.absolute()), record.subject, dict(record.metadata))
