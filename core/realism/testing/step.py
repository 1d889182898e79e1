"""A step without a run: give it the artifacts it reads, and look at those it writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from realism.base.tables import Row, write_shard
from realism.data.artifacts import Artifact
from realism.data.state import State
from realism.parts import Step, parts_of
from realism.parts.embedder import Embedder
from realism.runs.parts_in_use import parts_in_use
from realism.runs.progress import Bar
from realism.runs.work import NoRun, StepWork

Given = Mapping[Artifact, Path | Sequence[Row]]
"""Artifacts that are there: each where it lies, or the rows of its table."""


def work_with(root: Path, available: Given, title: str = "step", seed: int = 0) -> StepWork:
    """What a step is given, in a folder of a run that has these artifacts. root: an existing folder, to which paths of
    samples are relative."""
    placed: dict[Artifact, Path] = {}
    for artifact, what in available.items():
        placed[artifact] = what if isinstance(what, Path) else root / "given" / artifact.place
        if not isinstance(what, Path):
            assert artifact.row is not None, f"{artifact} is no table: give its folder"
            write_shard(what, artifact.row, placed[artifact], 0)
    (root / title).mkdir(exist_ok=True)
    state, embedder = State().after(placed, "given"), Embedder(root / "embeddings", root)
    return StepWork(NoRun(root), state, title, root / title, Bar(None, title), seed, embedder)


def run_step(step: Step, root: Path, available: Given, seed: int = 0) -> StepWork:
    """Do a step in a folder where these artifacts are there (see `work_with`). What it has written is read from what is
    returned: `run_step(...).read(Samples("samples"))`."""
    return carry_out(step, work_with(root, available, step.title(), seed))


def carry_out(step: Step, work: StepWork) -> StepWork:
    """Do a step with what it is given, or go on where it was stopped."""
    with parts_in_use(list(parts_of(step)), work.state, work.embedder, {}):
        step.run(work)
        work.embedder.flush()
    made = {artifact: work.folder / artifact.place for artifact in step.writes(work.state)}
    missing = [str(artifact) for artifact, path in made.items() if not path.exists()]
    assert not missing, f"the step says that it writes {', '.join(missing)}, but has not"
    work.state = work.state.after(made, step.title())
    return work
