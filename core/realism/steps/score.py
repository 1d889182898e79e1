"""The step `score`: what rewards say of the samples."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import MinLen

from realism.features import MAX_SIDE
from realism.nouns import Prompt
from realism.parts import BaseReward, ReferenceReward, Reward
from realism.parts.step import Step, arms, called_twice
from realism.run.state import State
from realism.run.work import Work
from realism.tables import Aside, Sample, Score, parts, read_part

if TYPE_CHECKING:
    from PIL import Image


@dataclass
class ScoreSamples(Step):
    """Score all samples of all arms with each reward.

    A reward that compares with references skips samples that were made without.
    """

    rewards: Annotated[list[BaseReward], MinLen(1)]
    """The rewards, by name."""

    seeded = False

    def title(self) -> str:
        return "score"

    def options_error(self) -> str | None:
        return called_twice(self.rewards, "reward")

    def missing(self, there: Collection[str]) -> list[str]:
        return [] if arms(there) else ["there are no samples to score: put a step 'generate' before this"]

    def reads(self, there: Collection[str]) -> list[str]:
        return [s for s in there if s.startswith("samples:")]

    def makes(self, there: Collection[str]) -> list[str]:
        return [f"scores:{arm}:{reward.part_name}" for arm in arms(there) for reward in self.rewards]

    def run(self, state: State, work: Work) -> Mapping[str, Path]:
        def score(_: int, samples: list[Sample]) -> tuple[Sequence[Score], Sequence[Aside]]:
            return self._score(samples, work)

        slots: dict[str, Path] = {}
        for arm in arms(state):
            shards = (read_part(path, Sample) for path in parts(state.path(f"samples:{arm}")))
            table = work.map(shards, score, Score, f"scores/{arm}", unit="images", each=len(self.rewards))
            slots |= {f"scores:{arm}:{reward.part_name}": table for reward in self.rewards}
        return slots

    def _score(self, samples: list[Sample], work: Work) -> tuple[list[Score], list[Aside]]:
        scores: list[Score] = []
        aside: list[Aside] = []
        images = _read([work.run.folder / s.image for s in samples])
        for reward in self.rewards:
            chosen = list(zip(samples, images, strict=True))
            if isinstance(reward, ReferenceReward):
                chosen = [(s, image) for s, image in chosen if s.references]
            if not chosen:
                continue
            values = _values(reward, [s for s, _ in chosen], [image for _, image in chosen])
            given = {}
            for (sample, _), value in zip(chosen, values, strict=True):
                if math.isfinite(value):
                    given[sample.id] = value
                    scores.append(Score(sample.id, reward.part_name, value))
                else:
                    aside.append(Aside(sample.id, "score", f"{reward.part_name} gave {value} for arm {sample.arm}"))
            work.run.tell_scores(self.title(), samples[0].arm, reward.part_name, given)
        return scores, aside


def _values(reward: BaseReward, samples: list[Sample], images: Sequence[Image.Image]) -> list[float]:
    prompts = [Prompt(s.prompt_id, s.text, s.subject, s.metadata) for s in samples]
    if isinstance(reward, ReferenceReward):
        references = [_read(s.references, MAX_SIDE) for s in samples]
        return reward.score_against(images, prompts, references).tolist()
    assert isinstance(reward, Reward)
    return reward.score(images, prompts).tolist()


def _read(paths: Iterable[Path | str], max_side: int | None = None) -> list[Image.Image]:
    """Images that the run itself has written or found before; raises UnreadableImage if one is gone."""
    from realism.images import UnreadableImage, read_images

    images = []
    for image in read_images(paths, max_side=max_side):
        if isinstance(image, UnreadableImage):
            raise image
        images.append(image)
    return images
