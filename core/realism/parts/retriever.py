"""Retrievers put texts and images into one space; an index searches it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from realism.base.errors import RealismError
from realism.parts.base import Part
from realism.parts.returned import require, rows_error

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image


class Index(Part):
    """A searchable set of vectors, kept in a folder."""

    family = "index"
    suite = "realism.testing:IndexSuite"

    @abstractmethod
    def build(self, shards: Iterable[np.ndarray], folder: Path) -> None:
        """Write an index of all rows of the (n, d) float32 shards, in order, into an existing empty folder. Shards are
        read one at a time."""

    def add(self, folder: Path, shards: Iterable[np.ndarray]) -> None:
        """Add all rows of the (n, d) float32 shards, in order, behind those of the index in the folder. If it is
        stopped on the way, the index is as it was before. Raises RealismError if this kind of index cannot grow."""
        raise RealismError(f"an index '{type(self).__name__}' cannot grow; build it again with all vectors")

    @abstractmethod
    def search(
        self, folder: Path, queries: np.ndarray, k: int, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k rows of highest inner product for each query, best first: similarities (q, k) float32 and rows (q, k)
        int64. allowed: (n,) bool, rows that may be found; None is all. Where fewer than k may be found, the rest of
        a line is -1 with similarity -inf. An approximate index finds at least 0.9 of the true nearest rows, with
        similarities within 0.05."""


class Memory(Protocol):
    """Vectors of pictures, by what they show."""

    def rows(self, images: Sequence[Image.Image], embed: Callable[[list[Image.Image]], np.ndarray]) -> np.ndarray:
        """The vectors (n, d) float32 of the images; those that are not known are embedded, and known from then on."""


class ImageEncoder(Part):
    """Turns images into vectors: what metrics of sets measure, and what a retriever does besides."""

    family = "encoder"
    noun = "image encoder"
    suite = "realism.testing:ImageEncoderSuite"
    unit_length: ClassVar[bool] = True
    """Whether each vector has length 1."""
    if TYPE_CHECKING:  # else it would be an option
        _memory: Memory | None
    else:
        _memory = None
    """What it has embedded in this run, which is not embedded again, whoever asks; None outside of a run."""

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """RGB images of any size -> (n, d) float32, each row of length 1 if `unit_length`. Row i depends on image i
        alone, to 1e-5."""
        return self._embedded(images) if self._memory is None else self._memory.rows(images, self._embedded)

    def _embedded(self, images: Sequence[Image.Image]) -> np.ndarray:
        rows = self.embed_images(images)
        require(self, rows_error("embed_images", rows, len(images), self.unit_length))
        return rows

    @abstractmethod
    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """What an encoder defines, and `encode_images` calls for each picture once."""

    @abstractmethod
    def preprocessing(self) -> str:
        """How an image becomes the model's input, in words for the report: resize, crop, size in pixels."""


class Retriever(ImageEncoder):
    """A text encoder and an image encoder into one space, where the cosine says how well two things match. Its vectors
    have length 1."""

    family = "retriever"
    noun = ""
    suite = "realism.testing:RetrieverSuite"
    index: Index
    """What searches the images it has encoded; each retriever has this option."""

    @abstractmethod
    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Texts -> (n, d) float32, each row of length 1. Too long a text is cut where the model cuts it."""


class Projection(Retriever):
    """A retriever whose vectors of images are computed from those of another, so that no image is opened anew."""

    encoder: Retriever
    """The other; each projection has this option."""

    @abstractmethod
    def project(self, rows: np.ndarray) -> np.ndarray:
        """Rows (n, d) of the encoder -> rows (n, d') float32, each of length 1."""

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        return self.project(self.encoder.encode_images(images))

    def preprocessing(self) -> str:
        return self.encoder.preprocessing()


class PixelEncoder(Retriever):
    """A retriever whose image encoder can carry a gradient."""

    @abstractmethod
    def encode_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """RGB pixels (n, 3, H, W), float in [0, 1] -> (n, d) float32, each row of length 1, with a gradient to the
        pixels. As `encode_images` of the same pictures but for how they are resized."""
