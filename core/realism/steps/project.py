"""The step `project`: a map of generated, retrieved and real pictures."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le

from realism.base.errors import RealismError, listed, nearest
from realism.base.tables import read, write_part
from realism.data.rows import Point, RecordRow, Reference, Sample
from realism.data.state import State
from realism.databases.features import features_of_rows, rows_of
from realism.measuring.evaluation import REAL
from realism.measuring.groups import group_of, keys_of, shares
from realism.parts import Images, Retriever
from realism.parts.step import Step, arms, named
from realism.run.work import Work

if TYPE_CHECKING:
    import numpy as np

COMPONENTS = 50
"""Principal components that t-SNE is given."""
PERPLEXITY = 30.0
RETRIEVED = "(retrieved {})"
"""The kind of what was retrieved, by its name; no arm can be called so."""
FEWEST = 4
"""Pictures without which there is no map."""


@dataclass
class Project(Step):
    """Draw a map of all arms, of what was retrieved and of real images: t-SNE of features, shown in the report.

    Features are cut to 50 principal components first; the perplexity is 30, or a third of the number of pictures where
    they are few. Pictures that lie close together look alike to the encoder; how far apart distant clouds lie, and the
    axes, mean nothing. Source: van der Maaten & Hinton 2008.
    """

    encoder: Retriever
    """Extracts the features; use another one than retrieval did."""
    real: Images | None = None
    """Real images, of which those are drawn whose subjects the prompts have."""
    by: str = ""
    """A key of the prompts' metadata, or `subject`: each of its values gets a panel of its own in the same map."""
    most: Annotated[int, Ge(10), Le(10_000)] = 2000
    """How many pictures at most, drawn by a hash of their ids, equally many of each kind."""

    def title(self) -> str:
        return f"project {self.encoder.part_name}"

    def missing(self, there: Collection[str]) -> list[str]:
        return [] if arms(there) else ["there are no samples to draw: put a step 'generate' before this"]

    def reads(self, there: Collection[str]) -> list[str]:
        return [s for s in there if s.startswith(("samples:", "references:"))]

    def makes(self, there: Collection[str]) -> list[str]:
        return [f"points:{self.encoder.part_name}"]

    def run(self, state: State, work: Work) -> Mapping[str, Path]:
        kinds = self._kinds(state)
        chosen = shares(kinds, {kind: [r.id for r in rows] for kind, rows in kinds.items()}, self.most)
        vectors, rows = features_of_rows(self.encoder, _marked(chosen), "points", work)
        if len(rows) < FEWEST:
            raise RealismError(f"{work.title}: a map needs {FEWEST} pictures or more, and there are {len(rows)}")
        points = [
            Point(float(x), float(y), r.metadata["kind"], r.id.split(":", 1)[1], r.subject, r.metadata["group"])
            for (x, y), r in zip(tsne(vectors, work.seed), rows, strict=True)
        ]
        write_part(points, Point, work.folder / "points", 0)
        return {f"points:{self.encoder.part_name}": work.folder / "points"}

    def _kinds(self, state: State) -> dict[str, list[RecordRow]]:
        """What can be drawn, by kind; the group of each is in its metadata."""
        samples = {arm: list(read(state.path(f"samples:{arm}"), Sample)) for arm in arms(state)}
        every = [s for rows in samples.values() for s in rows]
        if self.by and self.by not in (known := keys_of(every)):
            there = f"{nearest(self.by, known)}; there are: {listed(known)}"
            raise RealismError(f"project: no prompt has '{self.by}' in its metadata{there}")
        of_prompt = {s.prompt_id: group_of(s, self.by) for s in every}
        kinds = {
            arm: [RecordRow(s.id, s.image, s.subject, {"group": of_prompt[s.prompt_id]}) for s in rows]
            for arm, rows in samples.items()
        }
        for name in named(state, "references"):
            found = read(state.path(f"references:{name}"), Reference)
            kinds[RETRIEVED.format(name)] = _retrieved([r for r in found if r.prompt_id in of_prompt], of_prompt)
        if self.real is not None:
            kinds[REAL] = _real(self.real, {(s.subject, of_prompt[s.prompt_id]) for s in every})
        return {kind: rows for kind, rows in kinds.items() if rows}


def _real(real: Images, prompts: Collection[tuple[str, str]]) -> list[RecordRow]:
    """The real images that show a subject of the prompts, given with their groups; all where there are no subjects."""
    groups: dict[str, set[str]] = {}
    for subject, group in prompts:
        groups.setdefault(subject, set()).add(group)
    rows = list(rows_of(real))
    if not any(groups) or not any(r.subject for r in rows):
        return [replace(r, metadata={"group": ""}) for r in rows]
    return [replace(r, metadata={"group": _one(groups[r.subject])}) for r in rows if r.subject and r.subject in groups]


def _retrieved(found: Sequence[Reference], of_prompt: Mapping[str, str]) -> list[RecordRow]:
    """Each image once, in the group of the prompts it was found for."""
    groups: dict[str, set[str]] = {}
    for r in found:
        groups.setdefault(r.id, set()).add(of_prompt[r.prompt_id])
    once = {r.id: r for r in found}
    return [RecordRow(r.id, r.path, r.subject, {"group": _one(groups[r.id])}) for r in once.values()]


def _one(groups: Collection[str]) -> str:
    return next(iter(groups)) if len(groups) == 1 else ""


def _marked(kinds: Mapping[str, Sequence[RecordRow]]) -> Iterator[RecordRow]:
    """All rows with their kinds, under ids that no two kinds share."""
    for number, (kind, rows) in enumerate(kinds.items()):
        for row in rows:
            marks: dict[str, Any] = {"kind": kind, "group": row.metadata["group"]}
            yield RecordRow(f"{number}:{row.id}", row.path, row.subject, marks)


def tsne(features: np.ndarray, seed: int) -> np.ndarray:
    """Features (n, d), n at least 4 -> places (n, 2) float32, the same for the same seed."""
    import numpy as np
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    n, d = features.shape
    kept = PCA(min(COMPONENTS, n, d), random_state=seed).fit_transform(features.astype(np.float64))
    perplexity = min(PERPLEXITY, (n - 1) / 3)
    start = "pca" if kept.shape[1] > 1 else "random"
    return np.asarray(TSNE(2, perplexity=perplexity, init=start, random_state=seed).fit_transform(kept), np.float32)
