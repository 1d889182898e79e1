"""Generators: from requests to pictures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from realism.nouns import Request
from realism.parts.base import Part

if TYPE_CHECKING:
    from PIL import Image


class Generator(Part):
    """Makes a picture for each request. How a reference enters the model is the generator's own business."""

    family = "generator"
    max_references: ClassVar[int] = 0
    """How many reference images a request may carry; more are cut off, best first. 0: text only."""

    @abstractmethod
    def generate(self, requests: Sequence[Request]) -> list[Image.Image]:
        """One RGB picture a request, in order. The same request gives the same picture, to 1/255, whatever else is in
        the batch; requests with and without references may be mixed."""
