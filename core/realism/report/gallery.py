"""The pictures of one prompt, laid out so that the eye compares arms: a column per arm, a row per seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from realism.data.rows import Reference
from realism.report.cells import turns_of
from realism.report.view import PictureView, PromptView

CREDITS = ("licence", "license", "author", "source", "url")
"""What is shown of a reference's metadata, in this order, whatever the case of its keys."""


@dataclass(frozen=True)
class Credit:
    """One line about where a reference comes from; link is an http(s) address or ""."""

    name: str
    text: str
    link: str

    @property
    def short(self) -> str:
        """The text as it fits under a thumbnail: an address without its scheme."""
        text = self.link.split("://", 1)[-1] or self.text
        return text if len(text) <= 60 else text[:59] + "…"


@dataclass(frozen=True)
class Given:
    """The references of one picture, or of all pictures of one arm; a picture of its own when `seed` is not None."""

    arm: str
    seed: int | None
    references: tuple[Reference, ...]


@dataclass(frozen=True)
class Sheet:
    """One prompt: columns by arm, rows of pictures (None where an arm has none for that seed), and what was given."""

    prompt: PromptView
    arms: tuple[str, ...]
    rows: tuple[tuple[PictureView | None, ...], ...]
    given: tuple[tuple[Given, ...], ...]


def sheet(prompt: PromptView, arms: Sequence[str]) -> Sheet:
    """The layout of one prompt. Arms without any picture keep their column: that they made none is worth seeing.

    References are shown once an arm when all its pictures were given the same, which retrieval by prompt does.
    """
    columns = tuple(dict.fromkeys([*arms, *(picture.arm for picture in prompt.pictures)]))
    turns = turns_of((picture.arm, picture.seed) for picture in prompt.pictures)
    at = {(turn, one.seed, one.arm): one for turn, one in zip(turns, prompt.pictures, strict=True)}
    seeds = sorted({(turn, seed) for turn, seed, _ in at})  # a seed that comes twice in an arm gets a row of its own
    rows = tuple(tuple(at.get((*seed, arm)) for arm in columns) for seed in seeds)
    given = tuple(_given(arm, prompt.pictures) for arm in columns)
    return Sheet(prompt, columns, rows, given if any(given) else ())


def credits(metadata: Mapping[str, Any]) -> list[Credit]:
    """Licence, author and source of a reference, as far as its metadata tells. Only web addresses become links, as a
    database is a stranger's and "javascript:" is an address too."""
    lower = {str(key).lower(): value for key, value in metadata.items()}
    found = []
    for key in CREDITS:
        text = str(lower.get(key) or "").strip()
        if text:
            found.append(Credit(key, text, text if text.lower().startswith(("https://", "http://")) else ""))
    return found


def _given(arm: str, pictures: Sequence[PictureView]) -> tuple[Given, ...]:
    mine = [picture for picture in pictures if picture.arm == arm]
    distinct = {tuple(reference.id for reference in picture.references) for picture in mine}
    if len(distinct) == 1:
        return (Given(arm, None, mine[0].references),) if mine[0].references else ()
    return tuple(Given(arm, picture.seed, picture.references) for picture in mine if picture.references)
