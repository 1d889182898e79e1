"""Pieces of Markdown that are made from the code."""

from __future__ import annotations

import inspect
from collections.abc import Iterator


def prose(text: str | None) -> str:
    """A docstring as Markdown: signs that Markdown would take as its own are escaped outside `code`."""
    pieces = inspect.cleandoc(text or "").split("`")
    pieces[::2] = [p.replace("*", r"\*").replace("<", "&lt;").replace("[", r"\[") for p in pieces[::2]]
    return "`".join(pieces)


def cell(text: str) -> str:
    """Text as a cell of a table."""
    return " ".join(text.split()).replace("|", r"\|")


def table(*rows: tuple[str, ...]) -> Iterator[str]:
    """A table whose first row is the head."""
    head, *body = rows
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in body:
        yield "| " + " | ".join(cell(c) for c in row) + " |"
    yield ""
