"""The pictures of one prompt, laid out so that the eye compares arms: a column per arm, a row per seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from realism.data.rows import Reference
from realism.report.cells import turns_of
from realism.report.thumbnails import LARGEST
from realism.report.view import PictureView, PromptView, ReportView

CREDITS = ("licence", "license", "author", "source", "url")
"""What is shown of a reference's metadata, in this order, whatever the case of its keys."""
FEW_PICTURES, LARGE = 64, 448
"""So many pictures at most are embedded with a longer side of so many pixels, so that a page stays below a few MB."""


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
    ranks: Mapping[str, tuple[float | None, float]]
    """By reward, what prompts are sorted by; see `ranks`."""


def by_change(view: ReportView) -> list[PromptView]:
    """The prompts, those first whose pictures differ most between arms by the first reward; others in their order."""
    reward = first_reward(view.prompts)

    def size(prompt: PromptView) -> float:
        change, _ = ranks(prompt, view).get(reward, (None, 0.0))
        return -abs(change or 0.0)

    return sorted(view.prompts, key=size)


def first_reward(prompts: Sequence[PromptView]) -> str:
    """The first reward that the pictures have a score of; "" if they have none."""
    return next((name for prompt in prompts for one in prompt.pictures for name in one.scores), "")


def ranks(prompt: PromptView, view: ReportView) -> dict[str, tuple[float | None, float]]:
    """By reward: the difference to the control of the mean score of the arm that differs most (None if there is none),
    and the worst score of all; signs are so that more is better."""
    control = view.control or next(iter(view.arms), "")
    found: dict[str, dict[str, list[float]]] = {}
    for picture in prompt.pictures:
        for name, value in picture.scores.items():
            if math.isfinite(value):
                signed = -value if name in view.lower_is_better else value
                found.setdefault(name, {}).setdefault(picture.arm, []).append(signed)
    return {name: (_change(by_arm, control), min(map(min, by_arm.values()))) for name, by_arm in found.items()}


def _change(by_arm: Mapping[str, Sequence[float]], control: str) -> float | None:
    means = {arm: sum(values) / len(values) for arm, values in by_arm.items()}
    others = [mean - means[control] for arm, mean in means.items() if arm != control] if control in means else []
    return max(others, key=abs) if others else None


def side(view: ReportView) -> int:
    """The longer side of a picture as it is embedded, in pixels: larger where there are few."""
    count = sum(len(prompt.pictures) for prompt in view.prompts)
    return LARGE if count <= FEW_PICTURES else LARGEST


def sheet(prompt: PromptView, view: ReportView) -> Sheet:
    """The layout of one prompt. Arms without any picture keep their column: that they made none is worth seeing.

    References are shown once an arm when all its pictures were given the same, which retrieval by prompt does.
    """
    columns = tuple(dict.fromkeys([*view.arms, *(picture.arm for picture in prompt.pictures)]))
    turns = turns_of((picture.arm, picture.seed) for picture in prompt.pictures)
    at = {(turn, one.seed, one.arm): one for turn, one in zip(turns, prompt.pictures, strict=True)}
    seeds = sorted({(turn, seed) for turn, seed, _ in at})  # a seed that comes twice in an arm gets a row of its own
    rows = tuple(tuple(at.get((*seed, arm)) for arm in columns) for seed in seeds)
    rows = tuple(sorted(rows, key=lambda row: row.count(None)))  # what can be compared comes first
    given = tuple(_given(arm, prompt.pictures) for arm in columns)
    return Sheet(prompt, columns, rows, given if any(given) else (), ranks(prompt, view))


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
