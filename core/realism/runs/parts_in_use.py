"""What the parts of a step know while it is done: what they have learnt, and what was embedded in this run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from realism.base.cut_texts import say_cut_texts
from realism.base.errors import damaged
from realism.base.loading import is_intact
from realism.data.artifacts import Artifact, Weights
from realism.data.state import Location
from realism.parts import Part, Projection, Retriever, Tunable
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
    """Parts have the weights that are among these artifacts, or those they came with, and retrievers remember what they
    embed, until the block ends; then it is said which texts were cut. versions: of the distributions behind
    `module:Class`; another one embeds anew. fresh: whether retrievers embed anew in any case."""
    retrievers = [part for part in parts if isinstance(part, Retriever) and not isinstance(part, Projection)]
    for part in parts:
        if isinstance(part, Tunable):
            weights = trained.get(Weights(part.part_name))
            if weights:
                _check(weights.path)
            part.use_weights(weights.path if weights else None)
    for retriever in retrievers:
        made_by = describe(retriever, versions)
        made_by["options"].pop("index", None)  # neither what searches the vectors nor the name decides them
        made_by |= {"name": "", "trained": trained_by(retriever, trained)}
        retriever._memory = embedder.memory(made_by, fresh)
    try:
        yield
    finally:
        say_cut_texts()
        for retriever in retrievers:
            del retriever._memory


def _check(folder: Path) -> None:
    """Raises RealismError if a file of what was learnt is not whole."""
    for file in folder.rglob("*.safetensors"):
        if not is_intact(file):
            raise damaged(file)
