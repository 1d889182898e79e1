"""Zero-shot classification by a dual encoder: is the subject of the prompt what the picture is taken for?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from realism.base.errors import RealismError, shown
from realism.base.texts import class_text, is_unicode, readable
from realism.data.types import Picture
from realism.parts import Images, Retriever, Reward, Scores

if TYPE_CHECKING:
    import numpy as np


@dataclass
class ZeroShot(Reward):
    """Zero-shot accuracy: 1 if, of the texts of all classes, that of the prompt's subject is nearest to the image by
    cosine, else 0; NaN for a prompt whose subject is none of the classes.

    Its mean is the classification accuracy by OpenCLIP (Cherti et al. 2022) of RealRAG's table 2. Chance is one over
    the number of classes.
    """

    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    recognises_with: ClassVar[tuple[str, ...]] = ("encoder",)

    encoder: Retriever
    """The dual encoder; use another one than retrieval did."""
    classes: Images | list[str]
    """The names of the classes, or images whose subjects they are; prompts name theirs in the same letters."""
    template: str = "a photo of a {subject}"
    """The text of a class, where `{subject}` stands for its name, with spaces for underscores; "a" before it becomes
    "an" where the name wants it."""

    def options_error(self) -> str | None:
        if "{subject}" not in self.template:
            return f"template '{self.template}' has no '{{subject}}' in it"
        if isinstance(self.classes, list) and len(set(self.classes)) < 2:
            return f"classes {shown(self.classes)}: expected two names or more, to choose from"
        return None

    def score(self, pictures: Sequence[Picture]) -> Scores:
        import numpy as np
        import torch

        if not pictures:
            return Scores(torch.empty(0))
        names, texts = self._texts
        rows = self.encoder.encode_images([picture.image for picture in pictures])
        nearest = (rows.astype(np.float64) @ texts.T.astype(np.float64)).argmax(1)
        subjects = [picture.prompt.subject for picture in pictures]
        right = [
            float(names[row] == subject) if subject in names else float("nan")
            for row, subject in zip(nearest, subjects, strict=True)
        ]
        return Scores(torch.tensor(right, dtype=torch.float32))

    def release(self) -> None:
        self.__dict__.pop("_texts", None)  # the encoder may have learned by the next use

    @cached_property
    def _texts(self) -> tuple[list[str], np.ndarray]:
        """The names of the classes, and the row (n, d) of the text of each."""
        names = self.classes if isinstance(self.classes, list) else [r.subject for r in self.classes.records()]
        names = sorted(set(names) - {""})
        if unreadable := next((name for name in names if not is_unicode(name)), None):
            raise RealismError(f"zero_shot: the class '{readable(unreadable)}' is no UTF-8; rename its folder")
        if len(names) < 2:
            source = getattr(self.classes, "part_name", "classes")
            raise RealismError(f"zero_shot: '{source}' has {len(names)} classes; give it two or more to choose from")
        texts = [class_text(self.template, name) for name in names]
        if twice := next((t for t in texts if texts.count(t) > 1), ""):
            alike = [name for name, text in zip(names, texts, strict=True) if text == twice]
            raise RealismError(f"zero_shot: the classes {' and '.join(alike)} have one text, '{twice}': rename one")
        return names, self.encoder.encode_texts(texts)
