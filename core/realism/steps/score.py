"""The step `score`: what rewards say of the samples."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import MinLen

from realism.base.tables import parts, read_part
from realism.data.rows import Aside, Sample, Score
from realism.data.state import State
from realism.data.types import Prompt
from realism.databases.features import MAX_SIDE
from realism.parts import BaseReward, ReferenceReward, Reward
from realism.parts.step import Step, arms, arms_missing, called_twice, chosen
from realism.run.work import Work

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
        return [f"scores:{arm}:{reward.part_name}" for arm in chosen(there, self.arms) for reward in self.rewards]

    def run(self, state: State, work: Work) -> Mapping[str, Path]:
        def score(_: int, samples: list[Sample]) -> tuple[Sequence[Score], Sequence[Aside]]:
            return self._score(samples, work)

        slots: dict[str, Path] = {}
        for arm in chosen(state, self.arms):
            shards = (read_part(path, Sample) for path in parts(state.path(f"samples:{arm}")))
            table = work.map(shards, score, Score, f"scores/{arm}", unit="images", each=len(self.rewards))
            slots |= {f"scores:{arm}:{reward.part_name}": table for reward in self.rewards}
        return slots

    def _score(self, samples: list[Sample], work: Work) -> tuple[list[Score], list[Aside]]:
        scores: list[Score] = []
        aside: list[Aside] = []
        images = _read([work.run.folder / s.image for s in samples])
        for reward in self.rewards:
            pairs = list(zip(samples, images, strict=True))
            if isinstance(reward, ReferenceReward):
                pairs = [(s, image) for s, image in pairs if s.references]
            if not pairs:
                continue
            values, details = _values(reward, [s for s, _ in pairs], [image for _, image in pairs])
            given = {}
            for (sample, _), value, detail in zip(pairs, values, details, strict=True):
                if math.isfinite(value):
                    given[sample.id] = value
                    scores.append(Score(sample.id, reward.part_name, value, detail))
                else:
                    aside.append(Aside(sample.id, "score", f"{reward.part_name} gave {value} for arm {sample.arm}"))
            work.run.tell_scores(self.title(), samples[0].arm, reward.part_name, given)
        return scores, aside


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
