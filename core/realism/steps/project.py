"""The step `project`: a map of generated, retrieved and real pictures."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Le

from realism.base.errors import RealismError, listed, nearest
from realism.base.tables import read
from realism.data.artifacts import Artifact, Points, References, Samples
from realism.data.rows import Point, RecordRow, Reference
from realism.measuring.evaluation import REAL
from realism.measuring.features import features_of, record_of
from realism.measuring.groups import Shares, group_of, keys_of
from realism.parts import Images, Retriever
from realism.parts.embedder import KeyedRow, rows_of
from realism.parts.step import Artifacts, Step, samples_of
from realism.parts.work import Work

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

    def reads(self, available: Artifacts) -> list[Artifact]:
        return [*samples_of(available, []), *References.among(available)]

    def writes(self, available: Artifacts) -> list[Artifact]:
        return [Points(self.encoder.part_name)]

    def run(self, work: Work) -> None:
        chosen = Shares[RecordRow](self.most)
        for kind, row in self._rows(work):
            chosen.add(kind, row.id, row)
        features, table = features_of(self.encoder, _marked(chosen.chosen()), "points", work)
        if len(features) < FEWEST:
            raise RealismError(f"{work.title}: a map needs {FEWEST} pictures or more, and there are {len(features)}")
        vectors = np.concatenate(list(features.blocks()))
        points = [
            Point(float(x), float(y), r.metadata["kind"], r.id.split(":", 1)[1], r.subject, r.metadata["group"])
            for (x, y), r in zip(tsne(vectors, work.seed), read(table, KeyedRow), strict=True)
        ]
        work.write(Points(self.encoder.part_name), points)

    def _rows(self, work: Work) -> Iterator[tuple[str, RecordRow]]:
        """What can be drawn, with its kind; the group of each is in its metadata."""
        of_prompt: dict[str, str] = {}
        subjects: set[tuple[str, str]] = set()
        known: set[str] = set()
        for samples in Samples.among(work.state):
            for s in work.read(samples):
                known |= keys_of([s])
                group = of_prompt.setdefault(s.prompt_id, group_of(s, self.by))
                subjects.add((s.subject, group))
                row = record_of(s)
                yield samples.arm, replace(row, metadata={"group": group})
        if self.by and self.by not in known:
            available = f"{nearest(self.by, known)}; available: {listed(known)}"
            raise RealismError(f"project: no prompt has '{self.by}' in its metadata{available}")
        for references in References.among(work.state):
            found = (r for r in work.read(references) if r.prompt_id in of_prompt)
            kind = RETRIEVED.format(references.name)
            yield from ((kind, row) for row in _retrieved(found, of_prompt))
        if self.real is not None:
            yield from ((REAL, row) for row in _real(self.real, subjects))


def _real(real: Images, prompts: Collection[tuple[str, str]]) -> Iterator[RecordRow]:
    """The real images that show a subject of the prompts, given with their groups; all where there are no subjects."""
    groups: dict[str, set[str]] = {}
    for subject, group in prompts:
        groups.setdefault(subject, set()).add(group)
    every = not any(groups) or not any(r.subject for r in rows_of(real))
    for r in rows_of(real):
        if every:
            yield replace(r, metadata={"group": ""})
        elif r.subject and r.subject in groups:
            yield replace(r, metadata={"group": _one(groups[r.subject])})


def _retrieved(found: Iterable[Reference], of_prompt: Mapping[str, str]) -> Iterator[RecordRow]:
    """Each image once, in the group of the prompts it was found for."""
    groups: dict[str, set[str]] = {}
    once: dict[str, Reference] = {}
    for r in found:
        groups.setdefault(r.id, set()).add(of_prompt[r.prompt_id])
        once[r.id] = r
    return (RecordRow(r.id, r.path, r.subject, {"group": _one(groups[r.id])}) for r in once.values())


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
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    n, d = features.shape
    kept = PCA(min(COMPONENTS, n, d), random_state=seed).fit_transform(features.astype(np.float64))
    perplexity = min(PERPLEXITY, (n - 1) / 3)
    start = "pca" if kept.shape[1] > 1 else "random"
    return np.asarray(TSNE(2, perplexity=perplexity, init=start, random_state=seed).fit_transform(kept), np.float32)
