"""What a run remembers of images: what they look like, and their vectors by each encoder, all by what they show."""

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
from realism.base.plain import readable
from realism.base.tables import chunks, read_shard, shard_paths
from realism.data.rows import RecordRow, Skipped
from realism.data.types import Record
from realism.data.writable import name_problem
from realism.parts import checked
from realism.parts.retriever import Projection, Retriever
from realism.parts.returned import require, rows_error
from realism.parts.sources import Images

SHARD = 512
AT_ONCE = 128
"""Images in memory at a time."""
MAX_SIDE = 1024
"""Longer images are shrunk to this many pixels as they are read: no encoder sees more, and memory stays flat."""


@dataclass(frozen=True)
class KeyedRow(RecordRow):
    """A record, with the key that stands for what its image shows."""

    key: str = ""


class VectorMemory:
    """The vectors of one encoder. A `realism.parts.retriever.Memory`."""

    def __init__(self, folder: Path):
        self.kept = ImageCache(folder)

    def rows(self, images: Sequence[Image.Image], embed: Callable[[list[Image.Image]], np.ndarray]) -> np.ndarray:
        """The vectors (n, d) float32 of the images; those that are not known are embedded, each once."""
        if not images:
            return embed([])
        keys = _hashed(images)
        new = {key: image for key, image in zip(keys, images, strict=True) if not self.kept.has([key])[0]}
        if new:
            self.kept.add(list(new), embed(list(new.values())))
        return self.kept.take(keys)


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
        self._pixels, self._looks = ImageCache(folder / "pixels"), ImageCache(folder / "hashes")
        self._memories: dict[str, VectorMemory] = {}

    def memory(self, made_by: Mapping[str, Any], fresh: bool = False) -> VectorMemory:
        """The vectors of the encoder for which a JSON-like value stands: other vectors, other value.

        fresh: forget those that there are."""
        name = f"vectors-{digest(made_by)[:16]}"
        if fresh:
            shutil.rmtree(self._folder / name, ignore_errors=True)
            self._memories.pop(name, None)
        if name not in self._memories:
            self._memories[name] = VectorMemory(self._folder / name)
        return self._memories[name]

    def flush(self) -> None:
        """Write down what is new."""
        for cache in (self._pixels, self._looks, *(memory.kept for memory in self._memories.values())):
            cache.flush()

    def embed(
        self, encoder: Retriever, records: Sequence[RecordRow], step: str, look: bool = False
    ) -> tuple[list[KeyedRow], list[Skipped]]:
        """See to it that the images have vectors, and with `look` perceptual hashes. Returns the records whose images
        can be read, and what is skipped."""
        source, kept = _source(encoder), self.kept_vectors(encoder)
        return self._read(records, step, kept, lambda _, images: source.encode_images(images), look)

    def forget_lost(self, table: Path, kept: ImageCache | None, look: bool = False) -> None:
        """Remove the parts of a table (of `KeyedRow`) with images of which nothing is kept any more, as when somebody
        has removed the run's folder `embeddings` while the step was half done: `Work.map` makes them again.

        kept: the vectors there should be, None for none; look: whether there should be perceptual hashes."""
        needed = [cache for cache in (kept, self._looks if look else None) if cache is not None]
        for path in shard_paths(table):
            keys = [row.key for row in read_shard(path, KeyedRow)]
            if not all(cache.has(keys).all() for cache in needed):
                path.unlink()

    def kept_vectors(self, encoder: Retriever) -> ImageCache | None:
        """Where the vectors are kept that an encoder's come from; None outside of a run."""
        memory = _source(encoder)._memory
        return memory.kept if isinstance(memory, VectorMemory) else None

    def look(self, records: Sequence[RecordRow], step: str) -> tuple[list[KeyedRow], list[Skipped]]:
        """As `embed`, without vectors but with perceptual hashes."""
        return self._read(records, step, None, None, True)

    def keep(
        self, memory: VectorMemory, given: Mapping[str, np.ndarray], records: Sequence[RecordRow], step: str
    ) -> tuple[list[KeyedRow], list[Skipped]]:
        """As `embed`, with the vectors (d,) that are given by id, to be kept in a memory."""

        def place(rows: Sequence[KeyedRow], _: Sequence[Image.Image]) -> None:
            memory.kept.add([row.key for row in rows], np.stack([given[row.id] for row in rows]))

        return self._read(records, step, memory.kept, place, True)

    def vectors(self, encoder: Retriever, keys: Sequence[str] | np.ndarray) -> np.ndarray:
        """The vectors (n, d) float32 of images that have been embedded."""
        if isinstance(encoder, Projection):
            rows = encoder.project(self.vectors(encoder.encoder, keys))
            require(encoder, rows_error("project", rows, len(keys)))
            return rows
        assert isinstance(encoder._memory, VectorMemory), "the retriever is used outside of a run"
        return encoder._memory.kept.take(keys)

    def hashes(self, keys: Sequence[str]) -> np.ndarray:
        """The perceptual hashes (n, 2, 4) of images that were looked at, and of their mirror images."""
        return self._looks.take(keys)

    def _read(
        self,
        records: Sequence[RecordRow],
        step: str,
        kept: ImageCache | None,
        use: Callable[[Sequence[KeyedRow], Sequence[Image.Image]], object] | None,
        look: bool,
    ) -> tuple[list[KeyedRow], list[Skipped]]:
        """The records with their keys. Images are opened only if something of them is not known: their pixels' hash,
        their perceptual hash if `look`, their vector if they are to be used for one."""
        nameless = [(r, name_problem(r.id, r.path, r.subject)) for r in records]
        records = [r for r, reason in nameless if reason is None]
        # pictures of the run itself, whose paths are relative, may be drawn anew in their places: they are looked at
        lasting = {i: image_key(Path(r.path)) for i, r in enumerate(records) if Path(r.path).is_absolute()}
        available = self._pixels.has(list(lasting.values()))
        files = {i: file for (i, file), known in zip(lasting.items(), available.tolist(), strict=True) if known}
        pixels = self._pixels.take(list(files.values())).tolist() if files else []
        keys = {i: key.decode() for i, key in zip(files, pixels, strict=True)}
        have = list(keys.values())
        done = np.ones(len(have), bool) if not look else self._looks.has(have)
        if use is not None:
            done &= kept.has(have) if kept else np.zeros(len(have), bool)
        whole = {i for i, available in zip(keys, done.tolist(), strict=True) if available}
        new = [i for i in range(len(records)) if i not in whole]
        skipped: dict[int, Skipped] = {}
        images = read_images((self._root / records[i].path for i in new), max_side=MAX_SIDE, ahead=AT_ONCE)
        with ThreadPoolExecutor(4, thread_name_prefix="look") as pool:
            for batch in chunks(zip(new, images, strict=True), AT_ONCE):
                good = [(i, image) for i, image in batch if not isinstance(image, UnreadableImage)]
                skipped |= {
                    i: Skipped(records[i].id, step, e.reason) for i, e in batch if isinstance(e, UnreadableImage)
                }
                keys |= dict(zip((i for i, _ in good), pool.map(pixel_hash, (im for _, im in good)), strict=True))
                looks = [pool.submit(perceptual_hashes, image) for _, image in good] if look else []
                if use is not None and good:
                    use([_keyed(records[i], keys[i]) for i, _ in good], [image for _, image in good])
                kept_for = [i for i, _ in good if i in lasting]
                self._pixels.add([lasting[i] for i in kept_for], np.array([keys[i] for i in kept_for], "S32"))
                if looks:
                    self._looks.add([keys[i] for i, _ in good], np.stack([future.result() for future in looks]))
        rows = [_keyed(record, keys[i]) for i, record in enumerate(records) if i not in skipped]
        left = [Skipped(readable(r.id), step, reason) for r, reason in nameless if reason is not None]
        return rows, [*left, *(skipped[i] for i in sorted(skipped))]


def _source(encoder: Retriever) -> Retriever:
    """What embeds the images of a retriever: itself, or what it is a projection of."""
    return _source(encoder.encoder) if isinstance(encoder, Projection) else encoder


def _keyed(row: RecordRow, key: str) -> KeyedRow:
    return KeyedRow(row.id, row.path, row.subject, row.metadata, key)


def rows_of(images: Images) -> Iterator[RecordRow]:
    """The records of a collection as rows of a table; see `row_of`."""
    return map(row_of, checked.records(images))


def row_of(record: Record) -> RecordRow:
    """A record as a row, whose id, path and subject may still be no Unicode: the embedder skip it then."""
    return RecordRow(record.id, str(record.path.absolute()), record.subject, dict(record.metadata))
