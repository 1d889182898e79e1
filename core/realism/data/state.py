"""What steps hand to one another: named slots that point into the run's folder."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Slot:
    """A result of a step: where it lies, and the fingerprint of the step that made it."""

    path: Path
    fingerprint: str


class State(Mapping[str, Slot]):
    """The slots filled so far, in the order they were filled; see `Step` for their names."""

    def __init__(self, slots: Mapping[str, Slot] = {}):
        self._slots = dict(slots)

    def __getitem__(self, name: str) -> Slot:
        return self._slots[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._slots)

    def __len__(self) -> int:
        return len(self._slots)

    def filled(self, slots: Mapping[str, Path], fingerprint: str) -> State:
        """The state after a step of that fingerprint has filled these slots."""
        return State(self._slots | {name: Slot(path, fingerprint) for name, path in slots.items()})

    def without(self, names: Collection[str]) -> State:
        """The state without these slots."""
        return State({name: slot for name, slot in self._slots.items() if name not in names})

    def path(self, name: str) -> Path:
        """Where a slot's result lies."""
        return self[name].path
