"""Embedding images for a database: each is read, hashed and encoded once in a run, whichever steps need it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from realism.base.duplicates import perceptual_hash, pixel_hash
from realism.base.files import digest
from realism.base.image_cache import ImageCache, image_key
from realism.base.images import UnreadableImage, read_images
from realism.base.tables import chunks
from realism.data.rows import Aside, RecordRow
from realism.data.state import State
from realism.data.types import Record
from realism.databases.features import AT_ONCE, MAX_SIDE
from realism.parts import Images, Retriever
from realism.parts.tunable import learnt_slots
from realism.run.fingerprint import describe

LOOK = np.dtype([("pixels", "S32"), ("hash", "<u8", 4)])
"""What is kept of each image besides its vector: `pixel_hash` and `perceptual_hash`."""

Encode = Callable[[Sequence[Image.Image]], np.ndarray]
"""RGB images -> (n, d) float32 rows of length 1."""


@dataclass(frozen=True)
class KeyedRow(RecordRow):
    """A record, with the key under which the run keeps what was computed of its image."""

    key: str = ""


class EmbeddedImages(Images):
    """Images that come with vectors which someone has computed before."""

    encoder: str
    """The model that made the vectors, as the user states it; each such source has this option."""

    @abstractmethod
    def embedded(self) -> Iterator[tuple[Record, np.ndarray]]:
        """The records, as `records` gives them, each with its vector (d,) of any length and kind of float."""


def encoder_of(retriever: Retriever) -> dict[str, Any]:
    """What decides the vectors of a retriever, but for what it has learnt: its class, options, and files. The index
    that searches them, and what the recipe calls it, are no part of it."""
    told = describe(retriever, {})
    options = {k: v for k, v in told["options"].items() if k != "index"}
    return {"part": told["part"], "options": options, "inputs": told["inputs"]}


def learnt_by(retriever: Retriever, state: State) -> dict[str, str]:
    """The fingerprints of the weights that a trainer has made for a retriever or a part of it, by slot."""
    return {slot: state[slot].fingerprint for slot in learnt_slots(retriever, state)}


class Embedder:
    """Vectors of images by one encoder, and their looks, both kept in a folder of the run.

    The folder may be removed at any time; all in it is computed again when it is needed.
    """

    def __init__(self, folder: Path, made_by: Mapping[str, Any], encode: Encode):
        """made_by: a JSON-like value that stands for the encoder: other vectors, other value."""
        self._folder, self._name, self._encode = folder, f"vectors-{digest(made_by)[:16]}", encode
        self.open()

    def open(self) -> None:
        """Find what was kept since."""
        self.vectors, self.looks = ImageCache(self._folder / self._name), ImageCache(self._folder / "looks")

    def embed(
        self, records: Sequence[RecordRow], step: str, given: Mapping[str, np.ndarray] | None = None
    ) -> tuple[list[KeyedRow], list[Aside]]:
        """Keep vectors and looks of the images that have none yet. Returns the records whose images can be read, and
        what is set aside. given: vectors (d,) by id, to be kept instead of the encoder's."""
        return self._read(records, step, self.vectors, given)

    def look(self, records: Sequence[RecordRow], step: str) -> tuple[list[KeyedRow], list[Aside]]:
        """As `embed`, without the vectors."""
        return self._read(records, step, None, None)

    def _read(
        self,
        records: Sequence[RecordRow],
        step: str,
        vectors: ImageCache | None,
        given: Mapping[str, np.ndarray] | None,
    ) -> tuple[list[KeyedRow], list[Aside]]:
        rows = [KeyedRow(r.id, r.path, r.subject, r.metadata, image_key(Path(r.path))) for r in records]
        keys = [row.key for row in rows]
        kept = self.looks.has(keys) & (vectors.has(keys) if vectors else True)
        new = [row for row, there in zip(rows, kept, strict=True) if not there]
        images = read_images((r.path for r in new), max_side=MAX_SIDE, ahead=AT_ONCE)
        aside, good, looks, encoded = [], [], [], []
        with ThreadPoolExecutor(4, thread_name_prefix="look") as pool:  # hashing lets go of the interpreter's lock
            for batch in chunks(zip(new, images, strict=True), AT_ONCE):
                readable = [(row, image) for row, image in batch if not isinstance(image, UnreadableImage)]
                aside += [Aside(row.id, step, i.reason) for row, i in batch if isinstance(i, UnreadableImage)]
                seen = [pool.submit(_look, image) for _, image in readable]
                if vectors and readable and given is None:
                    encoded.append(self._encode([image for _, image in readable]))
                elif vectors and readable and given is not None:
                    encoded.append(np.stack([given[row.id] for row, _ in readable]))
                looks += [future.result() for future in seen]
                good += [row.key for row, _ in readable]
        if good:
            self.looks.append(good, np.array(looks, LOOK))
        if good and vectors:
            vectors.append(good, np.concatenate(encoded))
        bad = {row.id for row in aside}
        return [row for row in rows if row.id not in bad], aside


def _look(image: Image.Image) -> tuple[str, np.ndarray]:
    return pixel_hash(image), perceptual_hash(image)
