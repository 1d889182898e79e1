"""Rewards: one value an image. The same reward can filter, steer, train and measure."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from realism.nouns import Prompt
from realism.parts.base import Part

if TYPE_CHECKING:
    import torch
    from PIL import Image


class BaseReward(Part):
    """What the two kinds of reward share: what their values mean."""

    family = "reward"
    range: ClassVar[tuple[float, float]] = (float("-inf"), float("inf"))
    """The least and the greatest value it can give."""
    higher_is_better: ClassVar[bool] = True
    differentiable: ClassVar[bool] = False
    """Whether the values carry a gradient to the images."""


class Reward(BaseReward):
    """Judges an image by itself and its prompt."""

    @abstractmethod
    def score(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> torch.Tensor:
        """RGB images and the prompt of each -> (n,) float32 within `range`; NaN where there is no answer, which is set
        aside. Value i
        depends on image and prompt i alone, to 1e-4."""


class ReferenceReward(BaseReward):
    """Judges an image against the reference images it was made from."""

    @abstractmethod
    def score_against(
        self, images: Sequence[Image.Image], prompts: Sequence[Prompt], references: Sequence[Sequence[Image.Image]]
    ) -> torch.Tensor:
        """As `Reward.score`, with the references of each image; NaN for an image that has none."""
