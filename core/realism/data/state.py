"""Which artifacts a run has, and where they lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from realism.base.errors import RealismError
from realism.data.artifacts import Artifact
from realism.data.inventory import Inventory


@dataclass(frozen=True)
class Location:
    """Where an artifact lies, and the fingerprint of the step that made it."""

    path: Path
    fingerprint: str


class State(Inventory[Artifact], Mapping[Artifact, Location]):
    """The available artifacts, in the order they were first made."""

    def __init__(self, locations: Mapping[Artifact, Location] = {}):
        super().__init__(locations)
        self._all.update(locations)

    def __getitem__(self, artifact: Artifact) -> Location:
        location: Location = self._all[artifact]
        return location

    def after(self, outputs: Mapping[Artifact, Path], fingerprint: str) -> State:
        """The state after a step of that fingerprint has made these: what is derived from them, and was not made with
        them, is removed."""
        state = self.copy()
        state.make(outputs)
        state._all.update({artifact: Location(path, fingerprint) for artifact, path in outputs.items()})
        return state

    def path(self, artifact: Artifact) -> Path:
        """Where it lies. Raises RealismError, naming the available ones, if it is not there."""
        if artifact not in self:
            raise RealismError(artifact.missing_message(self))
        return self[artifact].path
