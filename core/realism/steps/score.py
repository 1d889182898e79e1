"""The step `score`: what rewards say of the samples."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import MinLen

from realism.base.errors import RealismError
from realism.base.tables import parts, read_part
from realism.data.rows import Aside, Sample, Score
from realism.data.state import State
from realism.data.types import Picture, Prompt
from realism.databases.features import MAX_SIDE
from realism.parts import Reward, Scores
from realism.parts.scores import by_full_name, scores_error
from realism.parts.step import Step, arms, arms_missing, called_twice, chosen
from realism.run.work import Work

if TYPE_CHECKING:
    import torch
    from PIL import Image


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

    seeded = False

    def title(self) -> str:
        return "score"

    def options_error(self) -> str | None:
        return called_twice(self.rewards, "reward")

    def missing(self, there: Collection[str]) -> list[str]:
        if not arms(there):
            return ["there are no samples to score: put a step 'generate' before this"]
        return arms_missing(there, self.arms)

    def reads(self, there: Collection[str]) -> list[str]:
        return [f"samples:{arm}" for arm in chosen(there, self.arms)]

    def makes(self, there: Collection[str]) -> list[str]:
        return [f"scores:{arm}:{name}" for arm in chosen(there, self.arms) for name in self._names()]

    def run(self, state: State, work: Work) -> Mapping[str, Path]:
        def score(_: int, samples: list[Sample]) -> tuple[Sequence[Score], Sequence[Aside]]:
            return self._score(samples, work)

        slots: dict[str, Path] = {}
        for arm in chosen(state, self.arms):
            shards = (read_part(path, Sample) for path in parts(state.path(f"samples:{arm}")))
            table = work.map(shards, score, Score, f"scores/{arm}", unit="images", each=len(self._names()))
            slots |= {f"scores:{arm}:{name}": table for name in self._names()}
        return slots

    def _names(self) -> list[str]:
        return [name for reward in self.rewards for name in reward.meanings()]

    def _score(self, samples: list[Sample], work: Work) -> tuple[list[Score], list[Aside]]:
        scores: list[Score] = []
        aside: list[Aside] = []
        pictures = _pictures(samples, work.run.folder)
        against = _with_references(samples, pictures) if any(r.uses_references for r in self.rewards) else []
        for reward in self.rewards:
            judged = [
                (s, p)
                for s, p in zip(samples, against if reward.uses_references else pictures, strict=True)
                if p.references or not reward.uses_references
            ]
            if not judged:
                continue
            of = [s for s, _ in judged]
            rows, without = _rows(reward, of, _said(reward, [p for _, p in judged]))
            scores += rows
            aside += without
            for name in reward.meanings():
                given = {row.id: row.value for row in rows if row.reward == name}
                work.run.tell_scores(self.title(), samples[0].arm, name, given)
        return scores, aside


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


def _said(reward: Reward, pictures: Sequence[Picture]) -> Scores:
    """What a reward says of pictures. Raises RealismError if that is not what it promises."""
    said = reward.score(pictures)
    if error := scores_error(reward, said, len(pictures)):
        raise RealismError(f"reward '{reward.part_name}' breaks its contract: {error}")
    return said


def _rows(reward: Reward, samples: Sequence[Sample], said: Scores) -> tuple[list[Score], list[Aside]]:
    """The scores of samples, and what has none. What stands behind them is kept once, with the first of each sample."""
    scores: list[Score] = []
    aside: list[Aside] = []
    details: dict[str, dict[str, Any]] = {s.id: dict(d) for s, d in zip(samples, said.details, strict=False)}
    for name, values in by_full_name(reward, said.values).items():
        for sample, value in zip(samples, _decimals(values), strict=True):
            if math.isfinite(value):
                scores.append(Score(sample.id, name, value, details.pop(sample.id, {})))
            else:
                aside.append(Aside(sample.id, "score", f"{name} gave {value} for arm {sample.arm}"))
    return scores, aside


def _decimals(values: torch.Tensor) -> list[float]:
    """The shortest decimals that round to these float32 values: 9 of 10 is 0.9, which meets `>= 0.9`; as it stands it
    would be 0.89999998, which does not."""
    return [float(str(value)) for value in values.detach().cpu().float().numpy()]


def _read(paths: Iterable[Path | str], max_side: int | None = None) -> list[Image.Image]:
    """Images that the run itself has written or found before; raises UnreadableImage if one is gone."""
    from realism.base.images import UnreadableImage, read_images

    images = []
    for image in read_images(paths, max_side=max_side):
        if isinstance(image, UnreadableImage):
            raise image
        images.append(image)
    return images
