"""What each measure is, in a line: of a reward or a metric the first paragraph of its class's docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable

from realism.parts import Part, Reward

MOST_WORDS = 4
"""Words of a term."""
DESCRIPTION = "description"
"""The key of a measure's detail that says what it is."""


def description_of(part: Part) -> str:
    """The first paragraph of the docstring of a part's class, in one line; "" if it has none."""
    text = " ".join((inspect.getdoc(type(part)) or "").split("\n\n")[0].split())
    return "" if text.startswith(f"{type(part).__name__}(") else text  # what a dataclass gives itself


def descriptions_by_reward(parts: Iterable[Part]) -> dict[str, str]:
    """The description of each reward among these parts, by the full name of each of its values."""
    rewards = [part for part in parts if isinstance(part, Reward)]
    return {name: description_of(reward) for reward in rewards for name in reward.meanings()}


def title_of(name: str, description: str) -> str:
    """What a measure is called: its name, with the field's term where the description begins with one and a colon:
    "KID", "faithful (CLIP-T)"; the term alone where it begins with the name."""
    term, colon, _ = description.partition(": ")
    if not colon or len(term.split()) > MOST_WORDS:
        return name
    return term if f"{re.sub('[- ]', '_', term)}_".lower().startswith(f"{name}_".lower()) else f"{name} ({term})"


def described(text: str) -> dict[str, str]:
    """The entry of a measure's detail; none for no text."""
    return {DESCRIPTION: text} if text else {}
