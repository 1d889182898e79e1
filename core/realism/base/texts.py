"""Texts that name a class, and texts of others."""

from __future__ import annotations

import re

AN = re.compile(r"(?!uni|use|eu|one)[aeiou]", re.IGNORECASE)
"""How words begin that want "an" before them."""
NO_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


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


def plain_text(text: str) -> str:
    """A text of others with U+FFFD for what is none: lone surrogates, which no file can hold, and control characters,
    which a terminal obeys, but for tabs and line ends. Each line end becomes \\n."""
    return NO_TEXT.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def plain_line(text: str, most: int) -> str:
    """The beginning of a text of others in one line, for an error to repeat."""
    return " ".join(plain_text(text).split())[:most]
