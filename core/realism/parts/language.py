"""Language models: from what is asked, in words and images, to a reply in words."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realism.parts.base import Part

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Chat:
    """One thing asked of a language model, which answers it once.

    images are shown before the text, in order, in any mode that Pillow turns into RGB. system is what the model is told
    of its task before, "" if nothing.
    """

    text: str
    images: tuple[Image.Image, ...] = ()
    system: str = ""


class LanguageModel(Part):
    """Writes a reply to each chat. Models that also look at images say so by `accepts_images`."""

    family = "language"
    noun = "language model"
    suite = "realism.testing:LanguageModelSuite"

    @property
    def accepts_images(self) -> bool:
        """Whether it looks at the images of a chat. A class says it by an attribute (`accepts_images = True`), or by
        a property where the model decides."""
        return False

    @abstractmethod
    def reply(self, chats: Sequence[Chat]) -> list[str]:
        """One reply a chat, in order, without white space at its ends; it may be empty. The same chat gets the same
        reply whatever else is in the batch. Raises RealismError for a chat with images if it does not see."""
