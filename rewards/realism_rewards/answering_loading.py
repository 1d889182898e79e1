"""Models that answer questions about images, from folders and the hub: safetensors only, no remote code."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le
from realism.base.chat_models import check_known_type, has_chat_template, load_chat_model
from realism.base.devices import DType, pick_device, pick_dtype
from realism.base.errors import RealismError
from realism.base.loading import load_model, load_without_weights, model_type
from realism.base.pretrained import loading_errors, read_json, weights_error
from realism.parts import Reward
from realism.plugins.models import find_model, local_folder

if TYPE_CHECKING:
    import torch

    from realism_rewards.answering import Answerer

EXPECTED = "expected BLIP for questions, BLIP-2, or a model of images and text that has a chat template"


@dataclass
class AnsweringReward(Reward):
    """The options of a reward that asks a model questions about images."""

    speed_options: ClassVar[tuple[str, ...]] = ("batch", "device")
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    model: str
    """A model that a plugin ships, a folder as transformers saves it, or a hub id: BLIP (Salesforce/blip-vqa-base),
    BLIP-2 (Salesforce/blip2-flan-t5-xl), or any model of images and text with a chat template
    (llava-hf/llava-1.5-7b-hf, Qwen/Qwen2.5-VL-7B-Instruct)."""
    revision: str | None = None
    """Branch, tag or commit of the hub id; None is its main branch."""
    dtype: DType = "auto"
    """The arithmetic of the model: auto is float32 on the CPU, else bfloat16. Only in float32 is an answer the same in
    any batch."""
    device: str = "auto"
    """auto (CUDA if there, else cpu), cpu, cuda, cuda:1, ..."""
    batch: Annotated[int, Ge(1), Le(10_000)] | None = None
    """Questions at a time, and images; None is found by itself. Halved whenever memory runs out."""

    def inputs(self) -> list[Path]:
        return [folder] if (folder := local_folder(self.model)) else []

    def options_error(self) -> str | None:
        try:
            source = find_model(self.model)
        except RealismError as error:
            return str(error)
        return folder_error(source) if isinstance(source, Path) else None

    def release(self) -> None:
        if self.__dict__.pop("answerer", None):
            import gc

            import torch

            gc.collect()
            torch.cuda.empty_cache()

    @cached_property
    def answerer(self) -> Answerer:
        """The model on its device. Raises RealismError in words when it cannot be had."""
        device = pick_device(self.device)
        return load_answerer(find_model(self.model), self.revision, pick_dtype(self.dtype, device), device, self.batch)


def folder_error(folder: Path) -> str | None:
    """One sentence if the folder holds no model that answers questions, as far as its files' names and JSON tell."""
    if error := weights_error(folder):
        return error
    config = read_json(folder / "config.json")
    kind, classes = config["model_type"], list(config.get("architectures") or [])
    if kind == "blip" and classes and "BlipForQuestionAnswering" not in classes:
        return f"{folder} is a {classes[0]}; {EXPECTED}"
    if kind in ("blip", "blip-2"):
        return None
    if not has_chat_template(folder):
        return f"{folder} is a model of type '{kind}' without a chat template; {EXPECTED}"
    return None


def load_answerer(
    source: str | Path, revision: str | None, dtype: torch.dtype, device: torch.device, batch: int | None
) -> Answerer:
    """The answerer for the model's type. Raises RealismError if there is none, or it cannot be loaded whole."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    from realism_rewards.answering_blip import Blip, Blip2
    from realism_rewards.answering_chat import SHARING, PlainChat, SharedChat

    blips = {
        "blip": (transformers.BlipForQuestionAnswering, Blip),
        "blip-2": (transformers.Blip2ForConditionalGeneration, Blip2),
    }
    with loading_errors(source):
        name = model_type(source, revision)
        if name in blips:
            kind, answerer = blips[name]
            model = load_model(kind, source, revision=revision, dtype=dtype)
            processor = load_without_weights(transformers.AutoProcessor, source, revision=revision)
            return answerer(model.to(device).eval(), processor, batch)
        check_known_type(source, name)
        if name not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
            raise RealismError(
                f"model '{source}' is of type '{name}', which answers no questions about images; {EXPECTED}"
            )
        loaded = load_chat_model(source, accepts_images=True, revision=revision, dtype=dtype, device=device)
        return (SharedChat if name in SHARING else PlainChat)(loaded.model, loaded.processor, batch)
