"""The step `score`: what rewards say of the samples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import MinLen

from realism import parts
from realism.base.errors import RealismError, remedy
from realism.base.tables import read_shard, write_shard
from realism.data.artifacts import Artifact, Maps, ScoreTable
from realism.data.rows import Heatmap, Sample, Score, Skipped
from realism.data.types import Picture, Prompt
from realism.parts import Reward, checked
from realism.parts.embedder import MAX_SIDE
from realism.parts.scores import by_full_name, names_error
from realism.parts.step import Artifacts, Step, called_twice, samples_of
from realism.parts.work import Shard, Work
from realism.steps.heatmaps import write_maps

if TYPE_CHECKING:
    import torch
    from PIL import Image

NOTHING = parts.Scores({})
"""What there is to say of no picture."""


@dataclass
class ScoreSamples(Step):
    """Score all samples of all arms, or of some, with each reward.

    A reward that compares with references skips samples that were made without. Of a reward `critic` with several
    values, each is a score of its own, as `critic.plausibility`.
    """

    rewards: Annotated[list[Reward], MinLen(1)]
    """The rewards, by name."""
    arms: list[str] = field(default_factory=list)
    """Which arms to score; all, if none is named."""

    scope = "recipe"

    def title(self) -> str:
        return "score"

    def options_error(self) -> str | None:
        names = self._names()
        if twice := next((name for name in names if names.count(name) > 1), None):
            return f"two rewards give a value '{twice}': give each reward a name of its own under 'parts'"
        return called_twice(self.rewards, "reward") or next(filter(None, map(names_error, self.rewards)), None)

    def reads(self, available: Artifacts) -> list[Artifact]:
        return list(samples_of(available, self.arms))

    def writes(self, available: Artifacts) -> list[Artifact]:
        return [table for samples in samples_of(available, self.arms) for table in self._tables(samples.arm)]

    def _tables(self, arm: str) -> list[Artifact]:
        scores = [ScoreTable(arm, name) for name in self._names()]
        return [*scores, *(Maps(arm, reward.part_name) for reward in self.rewards if reward.map_names)]

    def run(self, work: Work) -> None:
        for samples in samples_of(work.state, self.arms):
            shards = (read_shard(path, Sample) for path in work.shard_paths(samples))
            score = partial(self._score, samples.arm, work.folder, work.root)
            first, *others = self._tables(samples.arm)
            divide = partial(self._divided, samples.arm, work)
            work.map(first, shards, score, unit="images", each=len(self._names()), then=divide, also=others)

    def _divided(self, arm: str, work: Work, number: int, shard: Shard) -> Shard:
        """Tell plugins of the scores, and write the table of each; the first is left for `Work.map` to write, last."""
        given: dict[str, list[Score]] = {name: [] for name in self._names()}
        for row in shard[0]:
            assert isinstance(row, Score)
            given[row.reward].append(row)
        for name, rows in given.items():
            work.report_scores(arm, name, {row.id: row.value for row in rows})
        first, *others = given
        for name in others:
            work.write(ScoreTable(arm, name), given[name], number)
        return given[first], shard[1]

    def _names(self) -> list[str]:
        return [name for reward in self.rewards for name in reward.meanings()]

    def _score(self, arm: str, folder: Path, root: Path, number: int, samples: list[Sample]) -> Shard:
        scores: list[Score] = []
        skipped: list[Skipped] = []
        pictures = _pictures(samples, root)
        against = _with_references(samples, pictures) if any(r.uses_references for r in self.rewards) else []
        for reward in self.rewards:
            seen = [
                (s, p)
                for s, p in zip(samples, against if reward.uses_references else pictures, strict=True)
                if p.references or not reward.uses_references
            ]
            of = [s for s, _ in seen]
            # each has a copy, so that one that changes its pictures spoils no other's scores
            result = _score_batch(reward, [_copy(p) for _, p in seen], arm) if seen else NOTHING
            if reward.map_names:
                maps = Maps(arm, reward.part_name)
                drawn = write_maps(folder / "heatmaps" / maps.place, root, of, result.maps)
                write_shard(drawn, Heatmap, folder / maps.place, number)
            rows, without = _rows(reward, of, result)
            scores += rows
            skipped += without
        return scores, skipped


def _copy(picture: Picture) -> Picture:
    return replace(picture, image=picture.image.copy(), references=tuple(one.copy() for one in picture.references))


def _pictures(samples: Sequence[Sample], folder: Path) -> list[Picture]:
    """The pictures as a reward is given them that looks at nothing else."""
    images = _read([folder / s.image for s in samples])
    return [
        Picture(image, Prompt(s.prompt_id, s.text, s.subject, s.metadata))
        for s, image in zip(samples, images, strict=True)
    ]


def _with_references(samples: Sequence[Sample], pictures: Sequence[Picture]) -> list[Picture]:
    """The same with the references that each was made from, where it was; each file is read once."""
    paths = list(dict.fromkeys(path for s in samples for path in s.references))
    images = dict(zip(paths, _read(paths, MAX_SIDE), strict=True))
    return [
        replace(picture, references=tuple(images[path] for path in s.references))
        for s, picture in zip(samples, pictures, strict=True)
    ]


def _score_batch(reward: Reward, pictures: Sequence[Picture], arm: str) -> parts.Scores:
    try:
        return checked.score(reward, pictures)
    except BaseException as error:
        error.add_note(f"of arm '{arm}'")  # which the message of a fault includes
        raise


def _rows(reward: Reward, samples: Sequence[Sample], result: parts.Scores) -> tuple[list[Score], list[Skipped]]:
    """The scores of samples, and what has none. What stands behind them is kept once, with the first of each sample."""
    scores: list[Score] = []
    skipped: list[Skipped] = []
    details: dict[str, dict[str, Any]] = {s.id: dict(d) for s, d in zip(samples, result.details, strict=False)}
    meanings = reward.meanings()
    for name, values in by_full_name(reward, result.values).items() if samples else ():
        for sample, value in zip(samples, _decimals(values), strict=True):
            if math.isfinite(value):
                better = meanings[name].higher_is_better
                scores.append(Score(sample.id, name, value, better, details.pop(sample.id, {})))
            else:
                skipped.append(Skipped(sample.id, "score", f"{name} gave {value} for arm {sample.arm}"))
    return scores, skipped


def _decimals(values: torch.Tensor) -> list[float]:
    """The shortest decimals that round to these float32 values: 9 of 10 is 0.9, which meets `>= 0.9`; as it stands it
    would be 0.89999998, which does not."""
    return [float(str(value)) for value in values.detach().cpu().float().numpy()]


def _read(paths: Iterable[Path | str], max_side: int | None = None) -> list[Image.Image]:
    """Images that the run itself has written or found before; raises RealismError if one is gone."""
    from realism.base.images import UnreadableImage, read_images

    images = []
    for image in read_images(paths, max_side=max_side):
        if isinstance(image, UnreadableImage):
            raise RealismError(f"{image}; {remedy(image.path, 'put it back, or index the database anew')}")
        images.append(image)
    return images
