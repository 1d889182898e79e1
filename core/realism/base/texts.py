"""Texts that name a class."""

from __future__ import annotations

import re

AN = re.compile(r"(?!uni|use|eu|one)[aeiou]", re.IGNORECASE)
"""How words begin that want "an" before them."""


def class_text(template: str, name: str) -> str:
    """The template filled with a class: ("a photo of a {subject}", "water_iris") -> "a photo of a water iris", and
    "a photo of an iris" for "iris". Dashes stay: they are part of names, as in "Ford F-150"."""
    words = spaced(name)
    return with_article(template, words).replace("{subject}", words)


def spaced(name: str) -> str:
    """A class's name, as folders have it, in words: "sea_rose" -> "sea rose"."""
    return name.replace("_", " ").strip()


def with_article(template: str, words: str) -> str:
    """The template with "a {subject}" turned into "an {subject}" where the words want it."""
    return re.sub(r"\b([Aa]) \{subject\}", r"\1n {subject}", template) if AN.match(words) else template
