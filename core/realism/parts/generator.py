"""Generators: from requests to pictures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from realism.data.types import Request, Unmade
from realism.parts.base import Part

if TYPE_CHECKING:
    from PIL import Image


class Generator(Part):
    """Makes a picture for each request. How a reference enters the model is the generator's own business."""

    family = "generator"
    suite = "realism.testing:GeneratorSuite"
    reference_mechanism: ClassVar[str] = ""
    """How a reference enters the model, in a few words for the table of generators; "" if none does."""

    @property
    def max_references(self) -> int:
        """How many reference images of a request are used; more are cut off, best first. 0: text only. A class says it
        by an attribute (`max_references = 1`), or by a property where its options decide."""
        return 0

    @abstractmethod
    def generate(self, requests: Sequence[Request]) -> Sequence[Image.Image | Unmade]:
        """One RGB picture a request, in order. The same request gives the same picture, to 1/255, whatever else is in
        the batch; requests with and without references may be mixed.

        `Unmade(reason)` in the place of a picture that could not be made, such as one that the model's own safety
        checker withholds: it is skipped with that reason, and the others go on."""
