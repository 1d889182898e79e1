"""Which artifacts a run has, and where they lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from realism.base.errors import RealismError
from realism.data.artifacts import Artifact


@dataclass(frozen=True)
class Filled:
    """Where an artifact lies, and the fingerprint of the step that made it."""

    path: Path
    fingerprint: str


class State(Mapping[Artifact, Filled]):
    """The artifacts that are there, in the order they were first made."""

    def __init__(self, filled: Mapping[Artifact, Filled] = {}):
        self._filled = dict(filled)

    def __getitem__(self, artifact: Artifact) -> Filled:
        return self._filled[artifact]

    def __contains__(self, artifact: object) -> bool:
        return artifact in self._filled

    def __iter__(self) -> Iterator[Artifact]:
        return iter(self._filled)

    def __len__(self) -> int:
        return len(self._filled)

    def after(self, made: Mapping[Artifact, Path], fingerprint: str) -> State:
        """The state after a step of that fingerprint has made these: what tells of them, and was not made with them, is
        there no longer."""
        gone = void(self._filled, made)
        gone |= {artifact for artifact in made if artifact.last_counts}
        kept = {artifact: filled for artifact, filled in self._filled.items() if artifact not in gone}
        return State(kept | {artifact: Filled(path, fingerprint) for artifact, path in made.items()})

    def path(self, artifact: Artifact) -> Path:
        """Where it lies. Raises RealismError, saying what there is, if it is not there."""
        if artifact not in self:
            raise RealismError(artifact.lacking(self))
        return self[artifact].path


def void(there: Mapping[Artifact, object], made: Mapping[Artifact, object]) -> set[Artifact]:
    """Which of the artifacts that are there hold no longer once others are made: those that tell of one of these, or of
    one that holds no longer."""
    gone: set[Artifact] = set()
    before = -1
    while before != len(gone):
        before = len(gone)
        anew = gone | set(made)
        gone |= {a for a in there if a not in made and any(told in anew for told in a.tells_of())}
    return gone
