"""The step `score`: what rewards say of the samples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import MinLen

from realism.base.tables import read_part
from realism.data.artifacts import Artifact, Scores
from realism.data.rows import Aside, Sample, Score
from realism.data.types import Prompt
from realism.parts import BaseReward, ReferenceReward, Reward
from realism.parts.embedder import MAX_SIDE
from realism.parts.step import Artifacts, Step, called_twice, samples_of
from realism.parts.work import Shard, Work

if TYPE_CHECKING:
    import torch
    from PIL import Image


@dataclass
class ScoreSamples(Step):
    """Score all samples of all arms, or of some, with each reward.

    A reward that compares with references skips samples that were made without.
    """

    rewards: Annotated[list[BaseReward], MinLen(1)]
    """The rewards, by name."""
    arms: list[str] = field(default_factory=list)
    """Which arms to score; all, if none is named."""

    scope = "recipe"

    def title(self) -> str:
        return "score"

    def options_error(self) -> str | None:
        return called_twice(self.rewards, "reward")

    def reads(self, there: Artifacts) -> list[Artifact]:
        return list(samples_of(there, self.arms))

    def writes(self, there: Artifacts) -> list[Artifact]:
        arms = [samples.arm for samples in samples_of(there, self.arms)]
        return [Scores(arm, reward.part_name) for arm in arms for reward in self.rewards]

    def run(self, work: Work) -> None:
        for samples in samples_of(work.state, self.arms):
            shards = (read_part(path, Sample) for path in work.parts(samples))
            score = partial(self._score, work.root)
            told = partial(_told, work, samples.arm)
            table = Scores(samples.arm, self.rewards[0].part_name)
            work.map(table, shards, score, unit="images", each=len(self.rewards), then=told)

    def _score(self, root: Path, _: int, samples: list[Sample]) -> Shard:
        scores: list[Score] = []
        aside: list[Aside] = []
        images = _read([root / s.image for s in samples])
        for reward in self.rewards:
            pairs = list(zip(samples, images, strict=True))
            if isinstance(reward, ReferenceReward):
                pairs = [(s, image) for s, image in pairs if s.references]
            if not pairs:
                continue
            values, details = _values(reward, [s for s, _ in pairs], [image for _, image in pairs])
            for (sample, _image), value, detail in zip(pairs, values, details, strict=True):
                if math.isfinite(value):
                    scores.append(Score(sample.id, reward.part_name, value, reward.higher_is_better, detail))
                else:
                    aside.append(Aside(sample.id, "score", f"{reward.part_name} gave {value} for arm {sample.arm}"))
        return scores, aside


def _told(work: Work, arm: str, shard: Shard) -> Shard:
    """Tell plugins of the scores."""
    given: dict[str, dict[str, float]] = {}
    for row in shard[0]:
        assert isinstance(row, Score)
        given.setdefault(row.reward, {})[row.id] = row.value
    for reward, values in given.items():
        work.report_scores(arm, reward, values)
    return shard


def _values(
    reward: BaseReward, samples: list[Sample], images: Sequence[Image.Image]
) -> tuple[list[float], list[dict[str, Any]]]:
    """The values of the images, and what stands behind each."""
    prompts = [Prompt(s.prompt_id, s.text, s.subject, s.metadata) for s in samples]
    if isinstance(reward, ReferenceReward):
        references = [_read(s.references, MAX_SIDE) for s in samples]
        values = reward.score_against(images, prompts, references)
    else:
        assert isinstance(reward, Reward)
        values = reward.score(images, prompts)
    return _decimals(values), reward.explain(images, prompts)


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
