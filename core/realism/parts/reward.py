"""Rewards: one value an image. The same reward can filter, steer, train and measure."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from realism.data.types import Prompt
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
    """Whether the values can carry a gradient to the images; see `DifferentiableReward`."""

    def explain(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[dict[str, Any]]:
        """What stands behind each value, as JSON-like data for tables and the report; {} where there is nothing to
        say. Asked right after the values of the same images, so that nothing need be worked out again.

        The report shows of `answers`, a list of {question, expected, answer, right}, those that are not right."""
        return [{} for _ in images]


class Reward(BaseReward):
    """Judges an image by itself and its prompt."""

    @abstractmethod
    def score(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> torch.Tensor:
        """RGB images and the prompt of each -> (n,) float32 within `range`; NaN where there is no answer, which is set
        aside. Value i depends on image and prompt i alone, to 1e-4."""


class DifferentiableReward(Reward):
    """A reward whose value has a gradient with respect to the image: it can steer sampling, and train by gradient."""

    differentiable = True

    @abstractmethod
    def score_pixels(self, pixels: torch.Tensor, prompts: Sequence[Prompt]) -> torch.Tensor:
        """RGB pixels (n, 3, H, W), float in [0, 1], and the prompt of each -> (n,) with a gradient to the pixels.

        As `score` of the same pictures but for how they are resized: published values rest on Pillow's way, which has
        no gradient."""


class ReferenceReward(BaseReward):
    """Judges an image against the reference images it was made from."""

    @abstractmethod
    def score_against(
        self, images: Sequence[Image.Image], prompts: Sequence[Prompt], references: Sequence[Sequence[Image.Image]]
    ) -> torch.Tensor:
        """As `Reward.score`, with the references of each image; NaN for an image that has none."""
