"""Groups of prompts and pictures: what they are called by, and equal shares of them."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Generic, TypeVar

from realism.base.files import digest
from realism.data.rows import PromptRow, Sample

T = TypeVar("T")
ALL = "all"
"""The group of all prompts."""
SUBJECT = "subject"
"""The key that stands for the subject of a prompt, unless its metadata has a key of that name."""


def group_of(row: PromptRow | Sample, key: str) -> str:
    """The group of a prompt or sample under a key of its metadata, or "subject"; "" if it has none."""
    if key in row.metadata:
        return str(row.metadata[key])
    return row.subject if key == SUBJECT else ""


def keys_of(rows: Sequence[PromptRow | Sample]) -> set[str]:
    """What these rows can be grouped by."""
    subject = {SUBJECT} if any(row.subject for row in rows) else set()
    return subject | {key for row in rows for key in row.metadata}


class Shares(Generic[T]):
    """Of many items, some, equally many of each group while there are. A hash of their ids says which, so that it is
    the same choice in every run; no more are in memory than may be chosen."""

    def __init__(self, count: int):
        self._count, self._seen = count, 0
        self._kept: dict[str, list[tuple[int, int, T]]] = {}
        self.sizes: dict[str, int] = {}
        """How many items each group had."""

    def add(self, group: str, id: str, item: T) -> None:
        """One item more."""
        kept = self._kept.setdefault(group, [])
        self.sizes[group] = self.sizes.get(group, 0) + 1
        self._seen += 1
        entry = (-int(digest(id), 16), -self._seen, item)  # the largest hash is dropped first
        if len(kept) < self._count:
            heapq.heappush(kept, entry)
        elif self._count:
            heapq.heappushpop(kept, entry)

    def chosen(self) -> dict[str, list[T]]:
        """The items of each group, groups and items in the order in which they came."""
        left, share = self._count, dict.fromkeys(self._kept, 0)
        for rank, name in enumerate(sorted(self._kept, key=lambda name: self.sizes[name])):
            share[name] = min(self.sizes[name], left // (len(share) - rank))
            left -= share[name]
        first = {name: sorted(kept, reverse=True)[: share[name]] for name, kept in self._kept.items()}
        return {name: [item for *_, item in sorted(some, key=lambda e: -e[1])] for name, some in first.items()}
