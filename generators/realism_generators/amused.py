"""aMUSEd, the open Muse: pictures as discrete tokens, all masked at first and predicted a few at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le
from realism.data.types import Request

from realism_generators.stable_diffusion import Guided
from realism_generators.tuning import ADAPTER, FILE, LoRATunable, Tensors

if TYPE_CHECKING:
    import torch
    from PIL import Image

AESTHETIC = 6
"""The aesthetic score, of 10, that aMUSEd is conditioned on by default."""


@dataclass
class Amused(Guided, LoRATunable):
    """aMUSEd, the open Muse: pictures from text by masked image modelling. Patil et al. 2024, arXiv 2401.01808.

    Requests are drawn one at a time, as its scheduler takes one random generator for a whole batch. Its pipeline in
    diffusers has no `load_lora_weights`: a saved adapter is loaded by
    `pipeline.transformer.load_lora_adapter(folder, prefix=None, weight_name="pytorch_lora_weights.safetensors")`.
    """

    pipeline_class: ClassVar[str] = "AmusedPipeline"
    one_by_one: ClassVar[Literal["none", "references", "all"]] = "all"

    autoencoder_name: ClassVar[str] = "vqvae"
    supports_gradient_checkpointing: ClassVar[bool] = (
        False  # as of diffusers 0.42.1 its checkpointed layers refuse their arguments
    )

    model: str = "amused/amused-512"
    """A folder as diffusers saves it, or a hub id."""
    steps: Annotated[int, Ge(1), Le(10_000)] = 12
    """Steps in which masked tokens are predicted."""
    guidance: Annotated[float, Ge(0)] = 10.0
    """Classifier-free guidance: prediction = negative + guidance * (positive - negative). Up to 1 is none."""

    @property
    def prefix(self) -> str | None:
        return None

    def arguments(self, requests: Sequence[Request], width: int, height: int) -> dict[str, Any]:
        import torch

        return self.prompt_arguments(requests) | {"generator": torch.Generator("cpu").manual_seed(requests[0].seed)}

    def encode(self, pixels: torch.Tensor) -> Tensors:
        """Tokens (b, h, w) of pixels (b, 3, H, W) in [0, 1]."""
        import torch

        with torch.no_grad():
            latents = self.autoencoder.encode(pixels.float().to(self.autoencoder.device)).latents
            tokens = self.autoencoder.quantize(latents)[2][2]
        return {"tokens": tokens.reshape(len(latents), *latents.shape[-2:])}

    def condition(self, texts: Sequence[str], references: Sequence[Image.Image] = ()) -> Tensors:
        """The conditioning of texts; references are ignored."""
        import torch

        encoder, tokenizer = self.pipeline.text_encoder, self.pipeline.tokenizer
        padded = {"padding": "max_length", "truncation": True, "max_length": tokenizer.model_max_length}
        ids = tokenizer(list(texts), return_tensors="pt", **padded).input_ids
        with torch.no_grad():
            seen = encoder(ids.to(encoder.device), return_dict=True, output_hidden_states=True)
        return {"encoder_hidden_states": seen.hidden_states[-2], "pooled_text_emb": seen.text_embeds}

    def losses(
        self, pictures: Tensors, conditions: Tensors, random: torch.Generator, min_snr: float | None = None
    ) -> torch.Tensor:
        """The cross-entropy (b,) of masked tokens. Besides the texts, the network is conditioned on the size of the
        picture in pixels, a crop at (0, 0) and an aesthetic score."""
        from realism_generators.tuning_losses import draw_masks, masked_cross_entropy

        places, pipeline = pictures["tokens"], self.pipeline
        tokens = places.flatten(1)
        masked = draw_masks(tokens, random)
        visible = tokens.masked_fill(masked, pipeline.scheduler.config.mask_token_id).reshape(places.shape)
        pooled = conditions["pooled_text_emb"]
        height, width = (side * pipeline.vae_scale_factor for side in places.shape[-2:])
        micro = pooled.new_tensor([width, height, 0, 0, AESTHETIC]).expand(len(pooled), -1)
        logits = pipeline.transformer(visible, micro_conds=micro, **conditions)
        return masked_cross_entropy(logits.flatten(2), tokens, masked)

    def save_adapter(self, pipeline: Any, folder: Path) -> None:
        config = pipeline.transformer.peft_config[ADAPTER]
        config.target_modules = sorted(config.target_modules)  # equal bytes each time
        pipeline.transformer.save_lora_adapter(folder, ADAPTER, weight_name=FILE)
