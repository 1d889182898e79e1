"""Where prompts and images come from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING

from realism.data.types import Prompt, Record
from realism.parts.base import Part

if TYPE_CHECKING:
    import numpy as np


class Prompts(Part):
    """A list of prompts. The order and the ids are the same at every reading."""

    family = "prompts"
    noun = "source of prompts"
    suite = "realism.testing:PromptsSuite"

    @abstractmethod
    def prompts(self) -> Iterator[Prompt]:
        """The prompts, one by one, each id once."""


class Images(Part):
    """A collection of images on disk, with what is known of each. The order and the ids are the same at every reading.

    Records are listed, not opened: an image that cannot be read is met, skipped and counted by the step that opens
    it.
    """

    family = "images"
    noun = "source of images"
    suite = "realism.testing:ImagesSuite"

    @abstractmethod
    def records(self) -> Iterator[Record]:
        """The records, one by one, each id once."""


class EmbeddedImages(Images):
    """Images that come with vectors which someone has computed before."""

    encoder: str
    """The model that made the vectors, as the user states it; each such source has this option."""

    @abstractmethod
    def embedded(self) -> Iterator[tuple[Record, np.ndarray]]:
        """The records, as `records` gives them, each with its vector (d,) of any length and kind of float."""
