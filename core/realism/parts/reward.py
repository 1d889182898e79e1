"""Rewards: one value a picture, or several. The same reward can filter, steer, train and measure."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from realism.base.errors import RealismError, listed, nearest
from realism.data.types import Picture, Prompt
from realism.parts.base import Part

if TYPE_CHECKING:
    import numpy as np
    import torch


@dataclass(frozen=True)
class Output:
    """What one value of a reward means: the least and the greatest it can be, and whether more of it is better."""

    range: tuple[float, float] = (float("-inf"), float("inf"))
    higher_is_better: bool = True


@dataclass(frozen=True)
class Scores:
    """What a reward says of n pictures.

    values: (n,) float32, or several such by the names of `Reward.outputs`; NaN where there is no answer, which is
    skipped. details: what stands behind the values, JSON-like, one mapping a picture, {} for nothing to say; or none at
    all. Of `answers`, a list of {question, expected, answer, right}, the report shows those that are not right. maps:
    heatmaps by the names of `Reward.map_names`, one a picture: (h, w), float in [0, 1], of any size.
    """

    values: torch.Tensor | Mapping[str, torch.Tensor]
    details: Sequence[Mapping[str, Any]] = ()
    maps: Mapping[str, Sequence[np.ndarray]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> torch.Tensor:
        """One of several values, by its name. Raises RealismError if there is none of that name."""
        available = self.values if isinstance(self.values, Mapping) else {}
        if name not in available:
            raise RealismError(f"no value '{name}'{nearest(name, available)}; values here: {listed(available)}")
        return available[name]


@dataclass
class Reward(Part):
    """Judges pictures, each by itself, its prompt and, if it says so, the references it was made from."""

    held_out: bool = field(default=False, kw_only=True)
    """Whether it may only evaluate: a recipe that selects, trains or guides by it is refused."""

    family = "reward"
    suite = "realism.testing:RewardSuite"
    range: ClassVar[tuple[float, float]] = (float("-inf"), float("inf"))
    """The least and the greatest value it can give, if it gives one."""
    higher_is_better: ClassVar[bool] = True
    """Whether more of its one value is better."""
    outputs: ClassVar[Mapping[str, Output]] = {}
    """If it gives several values: their names, which are letters, digits and _, and what each means."""
    map_names: ClassVar[tuple[str, ...]] = ()
    """The names of the heatmaps it gives, likewise."""
    uses_references: ClassVar[bool] = False
    """Whether it judges against the references; if so, it is given no picture without any, else none of them."""
    recognises_with: ClassVar[tuple[str, ...]] = ()
    """Options that hold an encoder which has to know what pictures show; `evaluate` asks it to name real images."""

    @abstractmethod
    def score(self, pictures: Sequence[Picture]) -> Scores:
        """What it says of any number of pictures. All it says of picture i depends on picture i alone, to 1e-4."""

    def meanings(self) -> dict[str, Output]:
        """What each of its values means, by full name: the part's own for its one value, `critic.plausibility` for one
        of several."""
        if self.outputs:
            return {f"{self.part_name}.{name}": output for name, output in self.outputs.items()}
        return {self.part_name: Output(self.range, self.higher_is_better)}


class DifferentiableReward(Reward):
    """A reward whose values have a gradient with respect to the image: it can steer sampling, and train by gradient."""

    @abstractmethod
    def score_pixels(
        self, pixels: torch.Tensor, prompts: Sequence[Prompt]
    ) -> torch.Tensor | Mapping[str, torch.Tensor]:
        """RGB pixels (n, 3, H, W), float in [0, 1], and the prompt of each -> (n,), or several such by name, with a
        gradient to the pixels.

        As `score` of the same pictures but for how they are resized: published values rest on Pillow's way, which has
        no gradient."""
