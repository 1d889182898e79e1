"""Rewards of the garden: a reader, trained only on renders, says what a picture shows; the prompt says what it should.

For evaluation. As a training reward it can be fooled, like any network; the judge then shows it.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from realism.base.errors import RealismError
from realism.data.types import Picture, Prompt
from realism.parts import DifferentiableReward, Reward, Scores
from realism.plugins.models import find_model, local_folder

from .species import BY_NAME

if TYPE_CHECKING:
    import torch

    from .reader import Rereader

KINDS = ("background", "light", "companion")
"""What makes up a scene, besides the flowers."""


@dataclass
class ReaderReward(Reward):
    """What the rewards share: the reader."""

    range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    model: str = "garden/judge"
    """The folder that has reader.safetensors."""

    def inputs(self) -> list[Path]:
        folder = local_folder(self.model)
        return [folder / "reader.safetensors"] if folder else []

    def options_error(self) -> str | None:
        try:
            folder = find_model(self.model)
        except RealismError as error:
            return str(error)
        available = isinstance(folder, Path) and (folder / "reader.safetensors").is_file()
        return None if available else f"no reader.safetensors in '{self.model}'"

    def score(self, pictures: Sequence[Picture]) -> Scores:
        """The value and the details that `judge` gives of each picture."""
        import torch

        seen = _reader(str(find_model(self.model))).seen([picture.image for picture in pictures]) if pictures else []
        results = [self.judge(those, picture.prompt) for those, picture in zip(seen, pictures, strict=True)]
        return Scores(
            torch.tensor([value for value, _ in results], dtype=torch.float32), [detail for _, detail in results]
        )

    @abstractmethod
    def judge(self, seen: Mapping[str, Any], prompt: Prompt) -> tuple[float, dict[str, Any]]:
        """The value, given what the reader saw by head, NaN where the prompt says nothing; and what stands behind it,
        if that is more than the value."""


@dataclass
class GardenSpecies(ReaderReward):
    """Species accuracy: 1 if the picture shows the prompt's species, else 0; NaN for a subject that is no species of
    the garden."""

    def judge(self, seen: Mapping[str, Any], prompt: Prompt) -> tuple[float, dict[str, Any]]:
        return (float(seen["species"] == prompt.subject) if prompt.subject in BY_NAME else math.nan), {}


@dataclass
class GardenCount(ReaderReward):
    """Count accuracy: 1 if the picture shows as many flowers as the prompt's scene, else 0; NaN for a prompt without a
    scene."""

    def judge(self, seen: Mapping[str, Any], prompt: Prompt) -> tuple[float, dict[str, Any]]:
        scene = prompt.metadata.get("scene")
        return (float(seen["count"] == scene["count"]) if scene else math.nan), {}


@dataclass
class GardenScene(ReaderReward):
    """Scene accuracy: the share of background, light and companion that are right, 0 to 1; NaN for a prompt without a
    scene."""

    def judge(self, seen: Mapping[str, Any], prompt: Prompt) -> tuple[float, dict[str, Any]]:
        scene = prompt.metadata.get("scene")
        return (sum(seen[k] == scene[k] for k in KINDS) / len(KINDS) if scene else math.nan), {}


@dataclass
class GardenFacts(ReaderReward):
    """Facts shown: the share of the facts stated by the prompt's text that the picture shows, 0 to 1; NaN for a text
    that states none.

    The facts: species, number of flowers, colour of the petals, layout, background, light, companion; see
    `realism_garden.questions.stated`. Nothing of the prompt but its text is used.
    """

    def judge(self, seen: Mapping[str, Any], prompt: Prompt) -> tuple[float, dict[str, Any]]:
        answers = _compared(seen, prompt)
        return (sum(a["right"] for a in answers) / len(answers), {"answers": answers}) if answers else (math.nan, {})


@dataclass
class GardenAll(ReaderReward):
    """All facts shown: 1 if the picture shows every fact that the prompt's text states, else 0; NaN for a text that
    states none."""

    def judge(self, seen: Mapping[str, Any], prompt: Prompt) -> tuple[float, dict[str, Any]]:
        answers = _compared(seen, prompt)
        return (float(all(a["right"] for a in answers)), {"answers": answers}) if answers else (math.nan, {})


@dataclass
class GardenBeauty(DifferentiableReward):
    """Beauty by formula: composition, colour and contrast of the picture at 64 × 64, 0 to 1; higher is more beautiful.
    For evaluation, as the model garden/aesthetic is trained to predict it. See `realism_garden.beauty.beauty`."""

    range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, pictures: Sequence[Picture]) -> Scores:
        import torch

        from .beauty import beauty
        from .reader import to_tensor

        images = [picture.image for picture in pictures]
        return Scores(beauty((to_tensor(images) + 1) / 2) if images else torch.zeros(0))

    def score_pixels(self, pixels: torch.Tensor, prompts: Sequence[Prompt]) -> torch.Tensor:
        from torch.nn import functional

        from .beauty import beauty

        return beauty(functional.interpolate(pixels, (64, 64), mode="bicubic", antialias=True).clamp(0, 1))


def _compared(seen: Mapping[str, Any], prompt: Prompt) -> list[dict[str, Any]]:
    """Each fact stated by the prompt's text against what the reader saw; the reader does not distinguish sides."""
    from .questions import stated

    facts = {k: v for k, v in stated(prompt.text).items() if k in seen}
    return [
        {"question": fact, "expected": str(value), "answer": str(seen[fact]), "right": bool(seen[fact] == value)}
        for fact, value in facts.items()
    ]


@lru_cache(maxsize=2)
def _reader(folder: str) -> Rereader:
    """The reader of a folder, which all rewards share."""
    from .reader import Rereader, load_reader

    return Rereader(load_reader(folder))
