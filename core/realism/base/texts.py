"""Texts that name a class, and texts of others: made safe to print, to write and to repeat in a sentence."""

from __future__ import annotations

import os
import re

AN = re.compile(r"(?!uni|use|eu|one)[aeiou]", re.IGNORECASE)
"""How words begin that want "an" before them."""
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
"""Characters that steer a terminal or that no file can hold."""


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
    """A text of others with U+FFFD for CONTROL characters; each line end becomes \\n."""
    return CONTROL.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n").replace("\x85", "\n"))


def plain_line(text: str, longest: int | None = None) -> str:
    """A text of others as `plain_text`, in one line and cut after `longest` characters."""
    return " ".join(plain_text(text).split())[:longest]


def printable(text: str) -> str:
    """A text as it may be printed: what would steer a terminal is written as in Python, `\\x1b`."""
    return CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: a file's name of other bytes, and half a sign of UTF-16, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def readable(text: str) -> str:
    """A text that is no Unicode, for people: a file's name with its strange bytes as \\xe9, half a sign as \\ud83d."""
    try:
        return os.fsencode(text).decode(errors="backslashreplace")
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()
