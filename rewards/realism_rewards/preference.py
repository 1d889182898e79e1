"""What rewards learned from people's preferences share: one model that takes pictures and texts, and gives numbers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol

from annotated_types import Ge, Le
from realism.base.batching import Batches
from realism.base.cut_texts import note_texts
from realism.base.devices import pick_device
from realism.base.errors import RealismError
from realism.data.types import Picture, Prompt
from realism.parts import DifferentiableReward, Scores
from realism.plugins.models import find_model, local_folder

if TYPE_CHECKING:
    import torch
    from PIL import Image

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""What OpenAI's CLIP, and BLIP after it, subtract from red, green and blue in [0, 1], and divide by."""


class Prepares(Protocol):
    """How pictures become a model's input, such as `realism.base.pixels.Preprocessing`."""

    def of_images(self, images: Sequence[Image.Image]) -> Any:
        """RGB images of any size -> the model's input, prepared as published, on the CPU."""

    def of_pixels(self, pixels: torch.Tensor) -> Any:
        """RGB pixels (n, 3, H, W), float in [0, 1] -> the model's input, with a gradient to the pixels."""


class PreferenceModel(Protocol):
    """A loaded model with its preprocessing, on its device."""

    device: torch.device

    @property
    def prepare(self) -> Prepares:
        """Its preprocessing."""

    def lengths(self, texts: Sequence[str]) -> tuple[int, list[int]] | None:
        """How many tokens of a text it reads, and how many each of these has; None if it reads all."""

    def values(self, inputs: Any, texts: Sequence[str]) -> torch.Tensor:
        """The input of n images and their texts -> (n,) float32."""


@dataclass
class Preference(DifferentiableReward):
    """A reward that a single model computes from a picture and the text of its prompt."""

    speed_options: ClassVar[tuple[str, ...]] = ("batch", "device")

    device: str = "auto"
    """auto (CUDA if there, else cpu), cpu, cuda, cuda:1, ..."""
    batch: Annotated[int, Ge(1), Le(10_000)] | None = None
    """Images at a time; None is found by itself. Halved whenever memory runs out."""

    @abstractmethod
    def load(self, device: torch.device) -> PreferenceModel:
        """The model, ready for use. Raises RealismError in words when it cannot be had."""

    def score(self, pictures: Sequence[Picture]) -> Scores:
        import torch

        if not pictures:
            return Scores(torch.empty(0))
        loaded = self._loaded
        self._note_cut(pictures)

        def values(batch: list[int]) -> list[float]:
            with torch.inference_mode():
                inputs = loaded.prepare.of_images([pictures[i].image for i in batch])
                return loaded.values(inputs, [pictures[i].prompt.text for i in batch]).float().cpu().tolist()

        return Scores(torch.tensor(self._batches.run(range(len(pictures)), values), dtype=torch.float32))

    def score_pixels(self, pixels: torch.Tensor, prompts: Sequence[Prompt]) -> torch.Tensor:
        loaded = self._loaded
        inputs = loaded.prepare.of_pixels(pixels.to(loaded.device))
        return loaded.values(inputs, [prompt.text for prompt in prompts])

    def _note_cut(self, pictures: Sequence[Picture]) -> None:
        texts = list(dict.fromkeys(picture.prompt.text for picture in pictures))
        if read := self._loaded.lengths(texts):
            most, lengths = read
            note_texts(self.part_name or type(self).__name__, most, texts, [length > most for length in lengths])

    def release(self) -> None:
        self.__dict__.pop("_loaded", None)

    @cached_property
    def _loaded(self) -> PreferenceModel:
        return self.load(pick_device(self.device))

    @cached_property
    def _batches(self) -> Batches:
        return Batches(self.batch, start=64 if self._loaded.device.type == "cuda" else 8)


def model_folders(*names: str) -> list[Path]:
    """Those of the models that are folders on this machine."""
    return [folder for name in names if (folder := local_folder(name))]


def model_error(*names: str) -> str | None:
    """One sentence if one of the models, each a folder, a shipped model or a hub id, is not to be found."""
    for name in names:
        try:
            find_model(name)
        except RealismError as error:
            return str(error)
    return None


def load_weights_into(model: Any, weights: dict[str, torch.Tensor], name: str) -> Any:
    """The model with these weights, in evaluation, without gradients of its own. Raises RealismError, naming the
    weights, unless they are exactly the model's."""
    try:
        model.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        lines = [" ".join(line.split()) for line in str(error).splitlines()[1:]]
        raise RealismError(
            f"weights '{name}' are not those of a {type(model).__name__} as this reward needs it: "
            f"{(lines[0] if lines else str(error))[:200]}"
        ) from error
    return model.eval().requires_grad_(False)


def distinct(texts: Sequence[str]) -> tuple[list[str], list[int]]:
    """The different texts, and for each text its place among them: samples of one prompt need its text only once."""
    places = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    return list(places), [places[text] for text in texts]
