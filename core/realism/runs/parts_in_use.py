"""The parts of a step while it is done: with their trained weights, and the vectors cached in this run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from realism.base.cut_texts import warn_of_cut_texts
from realism.base.errors import damaged
from realism.base.loading import is_intact
from realism.data.artifacts import Artifact, Weights
from realism.data.state import Location
from realism.parts import ImageEncoder, Part, Projection, Tunable
from realism.parts.embedder import Embedder
from realism.runs.fingerprint import describe, trained_by


@contextmanager
def parts_in_use(
    parts: Sequence[Part],
    trained: Mapping[Artifact, Location],
    embedder: Embedder,
    versions: Mapping[str, str],
    fresh: bool = False,
) -> Iterator[None]:
    """Until the block ends, parts have the weights that are among these artifacts, or those they came with, and
    encoders cache the vectors they compute; then a warning counts the texts that were cut. versions: of the
    distributions behind `module:Class`; another one embeds anew. fresh: whether encoders embed anew in any case."""
    encoders = [part for part in parts if isinstance(part, ImageEncoder) and not isinstance(part, Projection)]
    for part in parts:
        if isinstance(part, Tunable):
            weights = trained.get(Weights(part.part_name))
            if weights:
                _check(weights.path)
            part.use_weights(weights.path if weights else None)
    for encoder in encoders:
        decisive = describe(encoder, versions)
        decisive["options"].pop("index", None)  # neither what searches the vectors nor the name decides them
        decisive |= {"name": "", "trained": trained_by(encoder, trained)}
        encoder._memory = embedder.memory(decisive, fresh)
    try:
        yield
    finally:
        warn_of_cut_texts()
        for encoder in encoders:
            del encoder._memory


def _check(folder: Path) -> None:
    """Raises RealismError if a file of trained weights is not complete."""
    for file in folder.rglob("*.safetensors"):
        if not is_intact(file):
            raise damaged(file)
