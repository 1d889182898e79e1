"""HPSv3: a vision-language model with a head in place of its words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realism.base.devices import DType, pick_dtype
from realism.base.errors import RealismError
from realism.base.files import user_path
from realism.base.loading import load_without_weights
from realism.base.pretrained import break_special_tokens, special_tokens
from realism.base.text_files import read_text
from realism.plugins.models import find_model

from realism_rewards.preference import (
    CLIP_MEAN,
    CLIP_STD,
    Preference,
    load_weights_into,
    model_error,
    model_folders,
)
from realism_rewards.weights import local_weights, read_weights, weights_error

if TYPE_CHECKING:
    import torch
    from PIL import Image

WEIGHTS = "HPSv3.safetensors"
CHAT = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n<|vision_start|>{image}<|vision_end|>{text}<|im_end|>\n"
    "<|im_start|>assistant\n"
)
"""The chat template of Qwen2-VL, for one picture and one text."""
REWARD, IMAGE = "<|Reward|>", "<|image_pad|>"
PIXELS = 256 * 28 * 28
"""Pixels of a prepared picture, as nearly as multiples of the unit allow."""


@dataclass
class HpsV3(Preference):
    """HPSv3: how well people would like the picture for its prompt, as mu of the normal distribution N(mu, sigma^2)
    that the model gives of its worth; higher is better. Unbounded, about 0 to 15 with the published model.

    [mu, sigma] = head(h), three layers with ReLU between them, in float32, where h is the last state at the token
    <|Reward|> of the instruction. Pictures are resized by Pillow, bicubic, to about 256 x 28 x 28 pixels at their own
    shape; positions are counted through picture and text alike, as in its code, not by rows and columns.
    Source: Ma et al. 2025, "HPSv3: Towards Wide-Spectrum Human Preference Score", section 4, and its code.
    The published weights could not be reached where this was written: their names are those of its code with
    transformers 4.45, and the classes are Qwen2-VL's in transformers.
    """

    weights: str = f"MizzenAI/HPSv3/{WEIGHTS}"
    """The weights: a file, a folder with HPSv3.safetensors in it, or 'owner/name/file' of the hub."""
    base: str = "Qwen/Qwen2-VL-7B-Instruct"
    """The model it was tuned from, of which the configuration and the tokenizer are read: a folder or a hub id."""
    instruction: str = "hpsv3_instruction.txt"
    """The file with what the model was trained to be asked, to the letter: INSTRUCTION in the code of MizzenAI/HPSv3,
    with {prompt} for the prompt and <|Reward|> where the value is read. It is its authors' text, and not shipped."""
    dtype: DType = "auto"
    """The arithmetic of the model, but for the head: auto is float32 on the CPU, else bfloat16, as published. In
    anything but float32 a value depends a little on its batch."""

    def inputs(self) -> list[Path]:
        path = None if self.options_error() else local_weights(self.weights, WEIGHTS)
        return [*([path, user_path(self.instruction)] if path else []), *model_folders(self.base)]

    def options_error(self) -> str | None:
        return weights_error(self.weights, WEIGHTS) or model_error(self.base) or self._instruction_error()

    def _instruction_error(self) -> str | None:
        path = user_path(self.instruction)
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        if "{prompt}" in text and REWARD in text:
            return None
        found = f"'{path}' is no instruction of HPSv3" if path.is_file() else f"no file '{path}'"
        return (
            f"{found}: copy INSTRUCTION from the code of MizzenAI/HPSv3 into it, with {{prompt}} for the prompt and "
            f"{REWARD} where the value is read"
        )

    def load(self, device: torch.device) -> Qwen2VlModel:
        """See `Preference.load`."""
        from accelerate import init_empty_weights
        from transformers import AutoTokenizer, Qwen2VLConfig, Qwen2VLModel

        source = find_model(self.base)
        config = load_without_weights(Qwen2VLConfig, source)
        tokenizer = load_without_weights(AutoTokenizer, source, padding_side="right")
        tokenizer.add_special_tokens({"additional_special_tokens": [REWARD]})
        tower, head = tower_and_head(read_weights(self.weights, WEIGHTS), self.weights)
        config.text_config.vocab_size = len(tower["language_model.embed_tokens.weight"])
        with init_empty_weights(include_buffers=False):
            model = Qwen2VLModel(config)
        model = load_weights_into(model, tower, self.weights).to(device, pick_dtype(self.dtype, device))
        if error := self._instruction_error():
            raise RealismError(error)
        instruction = read_text(user_path(self.instruction))
        return Qwen2VlModel(model, head.to(device), tokenizer, instruction)


class Qwen2VlModel:
    """Qwen2-VL with the head. See `PreferenceModel`."""

    def __init__(self, model: Any, head: Any, tokenizer: Any, instruction: str):
        vision = model.config.vision_config
        self.model, self.head, self.tokenizer, self.device = model, head, tokenizer, model.device
        self.instruction = instruction
        self.prepare = Patches(vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size)
        self.merged = vision.spatial_merge_size**2

    def lengths(self, texts: Sequence[str]) -> None:
        """It reads all of a text."""

    def values(self, inputs: Sequence[tuple[torch.Tensor, tuple[int, int]]], texts: Sequence[str]) -> torch.Tensor:
        import torch

        model = self.model
        special = special_tokens(self.tokenizer, self.tokenizer)
        asked = [
            question(self.instruction, break_special_tokens(text, special), rows * columns // self.merged)
            for (_, (rows, columns)), text in zip(inputs, texts, strict=True)
        ]
        tokens = self.tokenizer(asked, padding=True, return_tensors="pt").input_ids.to(self.device)
        grid = torch.tensor([(1, *size) for _, size in inputs], device=self.device)
        patches = torch.cat([patches for patches, _ in inputs]).to(self.device, model.dtype)
        seen = model.visual(patches, grid_thw=grid).pooler_output
        states = model.language_model.embed_tokens(tokens)
        shown = (tokens == self.tokenizer.convert_tokens_to_ids(IMAGE)).unsqueeze(-1)
        states = states.masked_scatter(shown, seen.to(states.dtype))
        # padding comes behind, where causal attention does not look, so that no mask is needed
        read = model.language_model(inputs_embeds=states, use_cache=False).last_hidden_state
        at = (tokens == self.tokenizer.convert_tokens_to_ids(REWARD)).int().argmax(1)
        return self.head(read[torch.arange(len(at), device=self.device), at].float())[:, 0]


@dataclass(frozen=True)
class Patches:
    """How a picture becomes the input of Qwen2-VL's vision tower: resized to whole units, normalised, cut up."""

    patch: int
    merge: int
    """Patches along the side of a unit, which is one token of the language model."""
    frames: int
    """A picture is shown as a film of so many equal frames."""

    def of_images(self, images: Sequence[Image.Image]) -> list[tuple[torch.Tensor, tuple[int, int]]]:
        """RGB images -> for each its patches (rows * columns, 3 * frames * patch^2) and (rows, columns)."""
        return [self._of_image(image) for image in images]

    def of_pixels(self, pixels: torch.Tensor) -> list[tuple[torch.Tensor, tuple[int, int]]]:
        """Pixels (n, 3, H, W) in [0, 1] -> the same, with a gradient to the pixels."""
        from torch.nn import functional

        height, width = pixels.shape[2:]
        size = unit_size(height, width, self.patch * self.merge)
        made = functional.interpolate(pixels.float(), size, mode="bicubic", antialias=True).clamp(0, 1)
        return [self._cut(picture) for picture in made]

    def _of_image(self, image: Image.Image) -> tuple[torch.Tensor, tuple[int, int]]:
        import numpy as np
        import torch
        from PIL import Image

        height, width = unit_size(image.height, image.width, self.patch * self.merge)
        made = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
        return self._cut(torch.from_numpy(np.array(made)).permute(2, 0, 1).float() / 255)

    def _cut(self, colours: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
        """A picture (3, height, width) -> its patches, those of a unit one after another."""
        mean, std = (colours.new_tensor(values).view(-1, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
        rows, columns = (side // self.patch for side in colours.shape[1:])
        film = ((colours - mean) / std).expand(self.frames, -1, -1, -1)
        units = film.reshape(
            self.frames, 3, rows // self.merge, self.merge, self.patch, columns // self.merge, self.merge, self.patch
        )
        return units.permute(2, 5, 3, 6, 1, 0, 4, 7).reshape(rows * columns, -1), (rows, columns)


def unit_size(height: int, width: int, unit: int) -> tuple[int, int]:
    """Height and width in whole units, of at most (larger pictures) or at least (smaller ones) `PIXELS` in all, of
    about the same shape. Source: Qwen2-VL's smart_resize with min_pixels = max_pixels."""
    rounded = [max(unit, round(side / unit) * unit) for side in (height, width)]
    scale = math.sqrt(PIXELS / (height * width))
    if rounded[0] * rounded[1] == PIXELS:
        return rounded[0], rounded[1]
    whole = math.floor if rounded[0] * rounded[1] > PIXELS else math.ceil
    return max(unit, whole(height * scale / unit) * unit), max(unit, whole(width * scale / unit) * unit)


def question(instruction: str, prompt: str, units: int) -> str:
    """The prompt of the model about a picture of so many units."""
    return CHAT.format(image=IMAGE * units, text=instruction.replace("{prompt}", prompt))


def tower_and_head(weights: Mapping[str, torch.Tensor], name: str) -> tuple[dict[str, torch.Tensor], Any]:
    """Of the published file, the weights of `Qwen2VLModel` by transformers' names of today, and the head, in float32.

    Raises RealismError, naming the file, if they are not there."""
    import torch

    tower = {}
    for key, value in weights.items():
        short = re.sub(r"^(model\.language_model|model(?=\.visual)|model)\.", "", key)
        if not key.startswith(("rm_head.", "lm_head.")):
            tower[short if short.startswith("visual.") else f"language_model.{short}"] = value
    try:
        sizes = [weights[f"rm_head.{i}.weight"].shape for i in (0, 3, 5)]
        _ = tower["language_model.embed_tokens.weight"]
    except KeyError as error:
        raise RealismError(f"weights '{name}' are not those of HPSv3: they have no {error.args[0]}") from error
    linear = [torch.nn.Linear(into, out) for out, into in sizes]
    head = torch.nn.Sequential(
        linear[0], torch.nn.ReLU(), torch.nn.Dropout(0.05), linear[1], torch.nn.ReLU(), linear[2]
    )
    given = {key.removeprefix("rm_head."): value for key, value in weights.items() if key.startswith("rm_head.")}
    return tower, load_weights_into(head, given, name).float()
