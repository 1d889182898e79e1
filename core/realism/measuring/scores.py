"""Scores of a run, joined."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from realism.base.tables import read
from realism.data.rows import Score
from realism.data.state import State


def known_rewards(there: Collection[str]) -> list[str]:
    """The rewards that have scored any arm, in the order they did."""
    return list(dict.fromkeys(s.split(":")[2] for s in there if s.startswith("scores:")))


def _scores(state: State, arm: str) -> Iterator[Score]:
    for slot in state:
        if slot.startswith(f"scores:{arm}:"):
            reward = slot.split(":")[2]
            yield from (row for row in read(state.path(slot), Score) if row.reward == reward)


def scores_of(state: State, arm: str) -> dict[str, dict[str, float]]:
    """Sample id -> reward -> value, for all samples of an arm. Where a reward has scored twice, the later counts."""
    found: dict[str, dict[str, float]] = {}
    for row in _scores(state, arm):
        found.setdefault(row.id, {})[row.reward] = row.value
    return found


def details_of(state: State, arm: str, ids: Collection[str]) -> dict[str, dict[str, dict[str, Any]]]:
    """Sample id -> reward -> what stands behind the value, for these samples of an arm."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in _scores(state, arm):
        if row.id in ids:
            found.setdefault(row.id, {})[row.reward] = row.detail
    return found
