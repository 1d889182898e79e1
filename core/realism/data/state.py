"""Which artifacts a run has, and where they lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from realism.base.errors import RealismError
from realism.data.artifacts import Artifact
from realism.data.inventory import Inventory


@dataclass(frozen=True)
class Filled:
    """Where an artifact lies, and the fingerprint of the step that made it."""

    path: Path
    fingerprint: str


class State(Inventory[Artifact], Mapping[Artifact, Filled]):
    """The artifacts that are there, in the order they were first made."""

    def __init__(self, filled: Mapping[Artifact, Filled] = {}):
        super().__init__(filled)
        self._all.update(filled)

    def __getitem__(self, artifact: Artifact) -> Filled:
        filled: Filled = self._all[artifact]
        return filled

    def after(self, made: Mapping[Artifact, Path], fingerprint: str) -> State:
        """The state after a step of that fingerprint has made these: what tells of them, and was not made with them, is
        there no longer."""
        state = self.copy()
        state.make(made)
        state._all.update({artifact: Filled(path, fingerprint) for artifact, path in made.items()})
        return state

    def path(self, artifact: Artifact) -> Path:
        """Where it lies. Raises RealismError, saying what there is, if it is not there."""
        if artifact not in self:
            raise RealismError(artifact.lacking(self))
        return self[artifact].path
