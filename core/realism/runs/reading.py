"""Reading the results of a run, for notebooks and for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realism.base.errors import RealismError, listed, nearest
from realism.base.tables import read
from realism.data.artifacts import KINDS, Artifact
from realism.data.state import State
from realism.runs.manifest import outputs_of
from realism.runs.record import read_record

if TYPE_CHECKING:
    import pandas


class Rows:
    """The rows of all tables of one kind, or of one artifact, read when they are asked for."""

    def __init__(self, tables: Mapping[Artifact, Path]):
        self._tables = tables

    @property
    def artifacts(self) -> list[Artifact]:
        """Whose rows they are."""
        return list(self._tables)

    def __iter__(self) -> Iterator[Any]:
        for artifact, path in self._tables.items():
            assert artifact.row is not None
            yield from read(path, artifact.row)

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame of all: a column for each field of the rows, and for each field of the artifacts (`arm`)."""
        import pandas

        frames = []
        for artifact, path in self._tables.items():
            frame = pandas.read_parquet(path)
            for field in fields(artifact):
                if field.name not in frame.columns:
                    frame.insert(0, field.name, getattr(artifact, field.name))
            frames.append(frame)
        return pandas.concat(frames, ignore_index=True)

    def _repr_html_(self) -> str:
        return str(self.to_pandas().to_html(max_rows=10))


class OpenRun:
    """A run that was done, or is under way, in a folder: `run["scores"].to_pandas()`, or one artifact, as in
    `run[ScoreTable("none", "clip_t")]`. Of several seeds, it shows one."""

    def __init__(self, folder: Path, seed: int | None = None):
        """seed: which one; the first, if None. Raises RealismError for what is not the folder of a run."""
        self.folder = folder
        record = read_record(folder)
        self.steps, self.seeds = list(record.steps), record.seeds
        if seed is not None and seed not in self.seeds:
            raise RealismError(f"seed {seed} is none of this run; its seeds: {listed(map(str, self.seeds))}")
        self.seed = self.seeds[0] if seed is None else seed
        self.artifacts = State()
        """Those of the run, and where they lie."""
        for step in self.steps:
            if step.seed == self.seed:
                self.artifacts = self.artifacts.after(outputs_of(folder / step.folder), step.fingerprint)

    def __getitem__(self, what: str | Artifact) -> Rows:
        """The rows of a kind of artifact ("samples", "scores", "measures", ...), or of one artifact. Raises
        RealismError if there is none."""
        if isinstance(what, Artifact) and what.row is None:
            raise RealismError(f"{what} is no table; it lies in '{self.artifacts.path(what)}'")
        if isinstance(what, Artifact):
            return Rows({what: self.artifacts.path(what)})
        kinds = {artifact.kind for artifact in self.artifacts if artifact.row is not None}
        if what not in kinds:
            known = what in KINDS and KINDS[what].row is None
            reason = f"'{what}' is no table" if known else f"no {what!r} in this run{nearest(what, kinds)}"
            raise RealismError(f"{reason}; available: {listed(kinds)}")
        return Rows({artifact: location.path for artifact, location in self.artifacts.items() if artifact.kind == what})
