"""Scores of a run, joined."""

from __future__ import annotations

from collections.abc import Collection

from realism.run.state import State
from realism.tables import Score, read


def known_rewards(there: Collection[str]) -> list[str]:
    """The rewards that have scored any arm, in the order they did."""
    return list(dict.fromkeys(s.split(":")[2] for s in there if s.startswith("scores:")))


def scores_of(state: State, arm: str) -> dict[str, dict[str, float]]:
    """Sample id -> reward -> value, for all samples of an arm. Where a reward has scored twice, the later counts."""
    found: dict[str, dict[str, float]] = {}
    for slot in state:
        if slot.startswith(f"scores:{arm}:"):
            reward = slot.split(":")[2]
            for row in read(state.path(slot), Score):
                if row.reward == reward:
                    found.setdefault(row.id, {})[reward] = row.value
    return found
