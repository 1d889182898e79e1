"""A prompt for each class of an image set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge, Le

from realism.base.errors import RealismError, nearest
from realism.base.texts import class_text, is_unicode, readable
from realism.data.types import Prompt
from realism.parts import Images, Prompts


@dataclass
class ClassPrompts(Prompts):
    """One prompt for each subject of a source of images: "A photo of a daisy", "A photo of a sea rose"."""

    images: Images
    """The images whose subjects are asked for, in alphabetical order."""
    template: str = "A photo of a {subject}"
    """The text; `{subject}` stands for the subject, with spaces for its underscores; "a" before it becomes "an" where
    the name wants it."""
    per_class: Annotated[int, Ge(1), Le(10_000)] = 1
    """How many prompts of the same text each subject gets (with ids, and so seeds, of their own)."""
    novel: list[str] = field(default_factory=list)
    """Subjects that the generator has never seen, as the images name them: `case` in the metadata of their prompts is
    novel, and known in all others, to be evaluated by."""

    def options_error(self) -> str | None:
        if "{subject}" not in self.template:
            return f"template '{self.template}' has no '{{subject}}' in it"
        return None

    def prompts(self) -> Iterator[Prompt]:
        subjects = sorted({record.subject for record in self.images.records()} - {""})
        if not subjects:
            raise RealismError("no image of the source has a subject, so there is nothing to ask for")
        if unknown := [name for name in self.novel if name not in subjects]:
            raise RealismError(f"novel: no image has the subject '{unknown[0]}'{nearest(unknown[0], subjects)}")
        for subject in subjects:
            if not is_unicode(subject):
                raise RealismError(f"the subject '{readable(subject)}' is no UTF-8; rename its folder")
            about = {"case": "novel" if subject in self.novel else "known"} if self.novel else {}
            text = class_text(self.template, subject)
            for number in range(self.per_class):
                yield Prompt(f"{subject}-{number}" if self.per_class > 1 else subject, text, subject, about)
