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

from realism.errors import RealismError
from realism.models import find_model, local_folder
from realism.nouns import Prompt
from realism.parts import Reward

from .species import BY_NAME

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from .reader import Reader


@dataclass
class ReaderReward(Reward):
    """What the three rewards share: the reader."""

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
        seen = _reader(str(find_model(self.model))).read(list(images))
        values = [self.compare({h: v[i] for h, v in seen.items()}, p) for i, p in enumerate(prompts)]
        return torch.tensor(values, dtype=torch.float32)

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


@lru_cache(maxsize=2)
def _reader(folder: str) -> Reader:
    from .reader import load_reader

    return load_reader(folder)
