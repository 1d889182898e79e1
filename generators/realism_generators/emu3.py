"""Emu3: a language model that writes a picture token by token. Wang et al. 2024, arXiv 2409.18869."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Le
from realism.base.batching import Batches
from realism.base.devices import pick_device, pick_dtype
from realism.base.errors import RealismError
from realism.data.types import Request
from realism.plugins.models import find_model

from realism_generators.diffusers_pipeline import SideLength
from realism_generators.model_generator import ModelGenerator

if TYPE_CHECKING:
    from PIL import Image

SIDE = 8
"""A token encodes a square of this many pixels a side."""


@dataclass
class Emu3(ModelGenerator):
    """Emu3: pictures from text alone; the model reads images only when it answers in words.

    Requests are drawn one at a time, and a picture has one token for every 8 x 8 pixels, which takes minutes.
    """

    pipeline_class: ClassVar[str] = "Emu3ForConditionalGeneration"
    max_references = 0

    model: str = "BAAI/Emu3-Gen-hf"
    """A folder as transformers saves it, or a hub id."""
    size: SideLength | tuple[SideLength, SideLength] = 720
    """Pixels: one number for a square, or [width, height]; cut down to multiples of 8."""
    guidance: Annotated[float, Ge(1)] = 3.0
    """Classifier-free guidance away from `negative_prompt`; 1 is none."""
    negative_prompt: str = ""
    """What pictures should not show; only used with guidance above 1."""
    top_k: Annotated[int, Ge(1), Le(1_000_000)] = 2048
    """Each token is drawn from that many of the likeliest."""

    def options_error(self) -> str | None:
        try:
            source = find_model(self.model)
            if isinstance(source, Path):
                kind = json.loads((source / "config.json").read_text(encoding="utf-8")).get("model_type")
                if kind != "emu3":
                    return f"{source} is a model of type '{kind}'; expected 'emu3': use the part made for it"
        except RealismError as error:
            return str(error)
        except (OSError, ValueError, AttributeError):
            return f"{source} is no model of transformers: it has no config.json that can be read"
        return None

    def batches(self, references: int) -> Batches:
        return Batches(1)

    def load(self) -> Any:
        """The model and its processor."""
        from realism.base.loading import load_model, load_without_weights
        from transformers import Emu3ForConditionalGeneration, Emu3Processor

        device = pick_device(self.device)
        source = find_model(self.model)
        processor = load_without_weights(Emu3Processor, source, revision=self.revision)
        model = load_model(
            Emu3ForConditionalGeneration, source, revision=self.revision, dtype=pick_dtype(self.dtype, device)
        )
        return model.to(device).eval(), processor

    def draw(self, requests: Sequence[Request]) -> list[Image.Image]:
        import torch

        from realism_generators.loading import seeded

        (request,) = requests
        model, processor = self.pipeline
        inputs, columns, rows = self._inputs(request.text)
        guidance: dict[str, Any] = {}
        if self.guidance > 1:
            negative, _, _ = self._inputs(self.negative_prompt)
            guidance = {
                "guidance_scale": self.guidance,
                "negative_prompt_ids": negative["input_ids"],
                "negative_prompt_attention_mask": negative["attention_mask"],
            }
        length = inputs["input_ids"].shape[1]
        allowed = grammar(model, processor, length, columns, rows)
        with torch.inference_mode(), seeded(request.seed):
            written = model.generate(
                **inputs, **guidance, do_sample=True, top_k=self.top_k, max_new_tokens=rows * (columns + 1) + 3,
                prefix_allowed_tokens_fn=allowed,
            )  # fmt: skip
            pixels = model.decode_image_tokens(image_tokens=written[:, length:], height=rows, width=columns)
        images = processor.postprocess(list(pixels.float().cpu()), return_tensors="PIL.Image.Image")
        return [images["pixel_values"][0]]

    def _inputs(self, text: str) -> tuple[Any, int, int]:
        """The prompt's tokens, up to where the picture begins, and the number of tokens in a row and in a column."""
        model, processor = self.pipeline
        width, height = (self.size, self.size) if isinstance(self.size, int) else self.size
        columns, rows = width // SIDE, height // SIDE
        inputs = processor(
            text=[text], return_for_image_generation=True, ratio=f"{columns}:{rows}",
            image_area=columns * rows * SIDE**2, return_tensors="pt",
        )  # fmt: skip
        inputs.pop("image_sizes")
        return inputs.to(model.device), columns, rows


def grammar(model: Any, processor: Any, start: int, columns: int, rows: int) -> Any:
    """What may follow a text of `start` tokens: rows of image tokens, each with its end, then the ends of the picture.

    Returns a function of the batch's index and the tokens so far, as `generate` wants it.
    """
    pixels = model.vocabulary_mapping.image_tokens
    tokenizer = processor.tokenizer
    end_of_row = [model.vocabulary_mapping.eol_token_id]
    end_of_image = [tokenizer.convert_tokens_to_ids(t) for t in (tokenizer.eof_token, tokenizer.eoi_token)]
    tail = [*([token] for token in end_of_image), [tokenizer.eos_token_id]]

    def allowed(batch: int, tokens: Any) -> list[int]:
        done = len(tokens) - start
        if done >= rows * (columns + 1):
            return list(tail[min(done - rows * (columns + 1), len(tail) - 1)])
        return end_of_row if done % (columns + 1) == columns else pixels

    return allowed
