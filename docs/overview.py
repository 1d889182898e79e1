"""The table in README.md of all models, rewards, retrievers, trainers and so on, by family, made from the registry."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from realism.parts.base import noun_of
from realism.plugins.registry import Entry, Registry
from writing import table

START, END = "<!-- what there is: written by docs/generate.py -->", "<!-- end -->"
FAMILIES = {
    "generator": "generators",
    "retriever": "retrievers",
    "encoder": "image encoders",
    "index": "indexes",
    "reward": "rewards",
    "metric": "metrics",
    "trainer": "trainers",
    "language": "language models",
    "prompts": "sources of prompts",
    "images": "sources of images",
    "step": "steps",
}
"""What a page calls each family."""


def overview(registry: Registry) -> str:
    """The table: one row for each mechanism of the generators, then one for each other family."""
    mechanisms: dict[str, list[Entry]] = {}
    for entry in registry.entries("generator"):
        cls: Any = entry.load()
        mechanisms.setdefault(cls.reference_mechanism, []).append(entry)
    by_size = sorted(mechanisms.items(), key=lambda item: (not item[0], -len(item[1]), item[0]))
    rows = [
        (f"generators: reference by {name}" if name else "generators: from text alone", links(entries))
        for name, entries in by_size
    ]
    rows += [(name, links(registry.entries(family))) for family, name in FAMILIES.items() if family != "generator"]
    return "\n".join(table(("family", "names; `realism parts NAME` prints one, with its options"), *rows))


def links(entries: Iterable[Entry]) -> str:
    """Names, each with a link into the reference, in the order of the alphabet."""
    return ", ".join(f"[`{entry.name}`](docs/reference.md#{anchor(entry)})" for entry in entries)


def title(entry: Entry) -> str:
    """The heading of a part in the reference: with its family, as headings of one page have to differ."""
    return f"{entry.name} ({noun_of(entry.family)})"


def anchor(entry: Entry) -> str:
    """What a link to that heading ends in."""
    return re.sub(r"[^\w\- ]", "", title(entry).lower()).replace(" ", "-")


def with_overview(page: Path, registry: Registry) -> str:
    """The page with the table as it should be, between its two marks."""
    before, start, rest = page.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise SystemExit(f"docs/generate.py: {page.name} lacks '{START}' or '{END}' below it")
    return f"{before}{START}\n\n{overview(registry)}\n{END}{after}"
