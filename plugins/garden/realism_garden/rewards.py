"""Rewards of the garden: a reader, trained only on renders, says what a picture shows; the prompt says what it should.

For evaluation. As a training reward it can be fooled, like any network; the judge then tells.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from realism.base.errors import RealismError
from realism.data.types import Prompt
from realism.parts import DifferentiableReward, Reward
from realism.plugins.models import find_model, local_folder

from .species import BY_NAME

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from .reader import Reader


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
        there = isinstance(folder, Path) and (folder / "reader.safetensors").is_file()
        return None if there else f"no reader.safetensors in '{self.model}'"

    def score(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> torch.Tensor:
        """1 where the picture shows what the prompt asks for, else 0, or a share; NaN where the prompt says nothing."""
        import torch

        if not images:
            return torch.zeros(0)
        values = [self.compare(seen, prompt) for seen, prompt in zip(self.read(images), prompts, strict=True)]
        return torch.tensor(values, dtype=torch.float32)

    def read(self, images: Sequence[Image.Image]) -> list[dict[str, Any]]:
        """What the reader sees in each picture, by head; pictures that it has just read are not read again."""
        if not images:
            return []
        latest = self.__dict__.get("_latest")
        if latest is None or not _same(latest[0], images):
            seen = _reader(str(find_model(self.model))).read(list(images))
            latest = (tuple(images), [{h: v[i] for h, v in seen.items()} for i in range(len(images))])
            self.__dict__["_latest"] = latest
        return latest[1]

    def release(self) -> None:
        self.__dict__.pop("_latest", None)

    @abstractmethod
    def compare(self, seen: Mapping[str, Any], prompt: Prompt) -> float:
        """The value, given what the reader saw by head."""


@dataclass
class GardenSpecies(ReaderReward):
    """1 if the picture shows the prompt's species, else 0; NaN for a subject that is no species of the garden."""

    def compare(self, seen: Mapping[str, Any], prompt: Prompt) -> float:
        return float(seen["species"] == prompt.subject) if prompt.subject in BY_NAME else float("nan")


@dataclass
class GardenCount(ReaderReward):
    """1 if the picture shows as many flowers as the prompt's scene, else 0; NaN for a prompt without a scene."""

    def compare(self, seen: Mapping[str, Any], prompt: Prompt) -> float:
        scene = prompt.metadata.get("scene")
        return float(seen["count"] == scene["count"]) if scene else float("nan")


@dataclass
class GardenScene(ReaderReward):
    """The share of background, light and companion that are right, 0 to 1; NaN for a prompt without a scene."""

    def compare(self, seen: Mapping[str, Any], prompt: Prompt) -> float:
        scene = prompt.metadata.get("scene")
        if not scene:
            return float("nan")
        return sum(seen[k] == scene[k] for k in ("background", "light", "companion")) / 3


@dataclass
class GardenFacts(ReaderReward):
    """The share of the facts stated by the prompt's text that the picture shows, 0 to 1; NaN for a text that states
    none.

    The facts: species, number of flowers, colour of the petals, layout, background, light, companion; see
    `realism_garden.questions.stated`. Nothing of the prompt but its text is used.
    """

    def compare(self, seen: Mapping[str, Any], prompt: Prompt) -> float:
        right = [answer["right"] for answer in _compared(seen, prompt)]
        return sum(right) / len(right) if right else float("nan")

    def explain(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[dict[str, Any]]:
        seen = self.read(images)
        return [{"answers": _compared(s, p)} for s, p in zip(seen, prompts, strict=True)]


@dataclass
class GardenAll(GardenFacts):
    """1 if the picture shows every fact that the prompt's text states, else 0; NaN for a text that states none."""

    def compare(self, seen: Mapping[str, Any], prompt: Prompt) -> float:
        share = super().compare(seen, prompt)
        return share if share != share else float(share == 1)


@dataclass
class GardenBeauty(DifferentiableReward):
    """The criterion of `realism_garden.beauty.beauty`, 0 to 1, of the picture at 64 × 64; for evaluation, as the model
    garden/aesthetic is what learnt to tell it."""

    range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> torch.Tensor:
        import torch

        from .beauty import beauty
        from .reader import to_tensor

        return beauty((to_tensor(list(images)) + 1) / 2) if images else torch.zeros(0)

    def score_pixels(self, pixels: torch.Tensor, prompts: Sequence[Prompt]) -> torch.Tensor:
        from torch.nn import functional

        from .beauty import beauty

        return beauty(functional.interpolate(pixels, (64, 64), mode="bicubic", antialias=True).clamp(0, 1))


def _same(some: Sequence[Any], others: Sequence[Any]) -> bool:
    return len(some) == len(others) and all(a is b for a, b in zip(some, others, strict=True))


def _compared(seen: Mapping[str, Any], prompt: Prompt) -> list[dict[str, Any]]:
    """Each fact stated by the prompt's text against what the reader saw; the reader does not tell sides."""
    from .questions import stated

    facts = {k: v for k, v in stated(prompt.text).items() if k in seen}
    return [
        {"question": fact, "expected": str(value), "answer": str(seen[fact]), "right": bool(seen[fact] == value)}
        for fact, value in facts.items()
    ]


@lru_cache(maxsize=2)
def _reader(folder: str) -> Reader:
    from .reader import load_reader

    return load_reader(folder)
