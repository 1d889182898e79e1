"""Groups of prompts and pictures: what they are called by, and equal shares of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

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


def shares(groups: Mapping[str, Sequence[T]], ids: Mapping[str, Sequence[str]], count: int) -> dict[str, list[T]]:
    """`count` items, equally many of each group while there are, in their order. A hash of their ids, which are in the
    order of the items, says which; so it is the same choice in every run."""
    chosen: dict[str, list[T]] = {}
    left = count
    for rank, name in enumerate(sorted(groups, key=lambda name: len(groups[name]))):
        share = min(len(groups[name]), left // (len(groups) - rank))
        left -= share
        first = sorted(range(len(groups[name])), key=lambda i: digest(ids[name][i]))[:share]
        chosen[name] = [groups[name][i] for i in sorted(first)]
    return {name: chosen[name] for name in groups}
