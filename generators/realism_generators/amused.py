"""aMUSEd, the open Muse: pictures as discrete tokens, all masked at first and found a few at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from realism.data.types import Request

from realism_generators.stable_diffusion import Guided
from realism_generators.tuning import ADAPTER, FILE, Conditions, LoRATunable

if TYPE_CHECKING:
    import torch

AESTHETIC = 6
"""The aesthetic score that aMUSEd is told by default, of 10."""


@dataclass
class Amused(Guided, LoRATunable):
    """aMUSEd, the open Muse: pictures from text by masked image modelling. Patil et al. 2024, arXiv 2401.01808.

    It is drawn one by one, as its scheduler takes one random generator for a whole batch. Diffusers gives its pipeline
    no `load_lora_weights`: what was learnt loads into a plain one by
    `pipeline.transformer.load_lora_adapter(folder, prefix=None, weight_name="pytorch_lora_weights.safetensors")`.
    """

    pipeline_class: ClassVar[str] = "AmusedPipeline"
    one_by_one: ClassVar[Literal["none", "references", "all"]] = "all"

    recomputes: ClassVar[bool] = False  # as of diffusers 0.42.1 its checkpointed layers refuse their arguments

    model: str = "amused/amused-512"
    """A folder as diffusers saves it, or a hub id."""
    steps: int = 12
    """Steps in which tokens are found."""
    guidance: float = 10.0
    """Classifier-free guidance: prediction = negative + guidance * (positive - negative). Up to 1 is none."""

    @property
    def prefix(self) -> str | None:
        return None

    def arguments(self, requests: Sequence[Request], width: int, height: int) -> dict[str, Any]:
        import torch

        return self.prompt_arguments(requests) | {"generator": torch.Generator("cpu").manual_seed(requests[0].seed)}

    def encode_pixels(self, pipeline: Any, pixels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        latents = pipeline.vqvae.encode(pixels.to(pipeline.vqvae.dtype)).latents
        tokens: torch.Tensor = pipeline.vqvae.quantize(latents)[2][2]
        return tokens.reshape(len(latents), *latents.shape[-2:])

    def encode_texts(self, pipeline: Any, texts: Sequence[str], width: int, height: int) -> Conditions:
        import torch

        device, longest = pipeline.device, pipeline.tokenizer.model_max_length
        padded = {"padding": "max_length", "truncation": True, "max_length": longest}
        ids = pipeline.tokenizer(list(texts), return_tensors="pt", **padded).input_ids
        seen = pipeline.text_encoder(ids.to(device), return_dict=True, output_hidden_states=True)
        states = seen.hidden_states[-2]
        micro = torch.tensor([width, height, 0, 0, AESTHETIC], device=device, dtype=states.dtype)
        return {
            "encoder_hidden_states": states,
            "pooled_text_emb": seen.text_embeds,
            "micro_conds": micro.expand(len(texts), -1),
        }

    def losses(
        self, pipeline: Any, latents: torch.Tensor, conditions: Conditions, random: torch.Generator
    ) -> torch.Tensor:
        from realism_generators.tuning_losses import draw_masks, masked_cross_entropy

        tokens = latents.flatten(1)
        hidden = draw_masks(tokens, random)
        seen = tokens.masked_fill(hidden, pipeline.scheduler.config.mask_token_id).reshape(latents.shape)
        return masked_cross_entropy(pipeline.transformer(seen, **conditions).flatten(2), tokens, hidden)

    def write(self, pipeline: Any, folder: Path) -> None:
        config = pipeline.transformer.peft_config[ADAPTER]
        config.target_modules = sorted(config.target_modules)  # equal bytes each time
        pipeline.transformer.save_lora_adapter(folder, ADAPTER, weight_name=FILE)
