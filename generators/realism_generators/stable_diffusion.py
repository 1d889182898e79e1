"""Stable Diffusion: 1.x and 2.x, XL, 3 and 3.5, with references by IP-Adapter. What differs is data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Le
from realism.data.types import Request

from realism_generators.diffusers_pipeline import DiffusersGenerator
from realism_generators.ip_adapter import IPAdapter
from realism_generators.tuning import JOINT_ATTENTION, Conditions, LoRATunable, kl_latents

if TYPE_CHECKING:
    import torch

VIT_H = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"


@dataclass
class Guided(DiffusersGenerator):
    """A pipeline with classifier-free guidance."""

    guidance: Annotated[float, Ge(0)] = 7.5
    """Classifier-free guidance: prediction = negative + guidance * (positive - negative). Up to 1 is none."""
    negative_prompt: str = ""
    """What pictures should not show; only used with guidance above 1."""

    def prompt_arguments(self, requests: Sequence[Request]) -> dict[str, Any]:
        """The arguments that say what to draw."""
        arguments: dict[str, Any] = {
            "prompt": [request.prompt.text for request in requests],
            "guidance_scale": self.guidance,
        }
        if self.negative_prompt:  # "" is not the same as none to XL, which then takes zeros
            arguments["negative_prompt"] = [self.negative_prompt] * len(requests)
        return arguments


@dataclass
class TunableUNet(LoRATunable):
    """A U-Net that predicts noise or velocity, as its scheduler's configuration says.

    Times are drawn uniformly from those of the scheduler, as diffusers' training scripts do.
    """

    network: ClassVar[str] = "unet"

    def encode_pixels(self, pipeline: Any, pixels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        scaled: torch.Tensor = kl_latents(pipeline, pixels, random) * pipeline.vae.config.scaling_factor
        return scaled

    def encode_texts(self, pipeline: Any, texts: Sequence[str], width: int, height: int) -> Conditions:
        states, _ = pipeline.encode_prompt(list(texts), pipeline.device, 1, do_classifier_free_guidance=False)
        return {"encoder_hidden_states": states}

    def losses(
        self, pipeline: Any, latents: torch.Tensor, conditions: Conditions, random: torch.Generator
    ) -> torch.Tensor:
        import torch

        from realism_generators.tuning_losses import diffused, diffusion_target, draw_normal, squared_error

        all_kept = pipeline.scheduler.alphas_cumprod
        noise = draw_normal(latents, random)
        times = torch.randint(len(all_kept), (len(latents),), generator=random)
        kept = all_kept[times.to(all_kept.device)]
        target = diffusion_target(pipeline.scheduler.config.prediction_type, latents, noise, kept)
        noisy = diffused(latents, noise, kept)
        return squared_error(pipeline.unet(noisy, times.to(latents.device), **conditions).sample, target)


@dataclass
class StableDiffusion(Guided, TunableUNet, IPAdapter):
    """Stable Diffusion 1.x and 2.x: pictures from text, and from a reference by an IP-Adapter. Rombach et al. 2022.

    Public IP-Adapters are for 1.x; for 2.x see `sd-img2img` and `sd-unclip`.
    """

    pipeline_class: ClassVar[str] = "StableDiffusionPipeline"

    model: str = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    """A folder as diffusers saves it, or a hub id."""
    adapter_weights: str = "models/ip-adapter_sd15.safetensors"
    """The file of the adapter, as a path in it; the default is that of h94/IP-Adapter. Only safetensors are read."""
    image_encoder: str = VIT_H
    """The encoder that the adapter was trained with: a folder or a hub id."""

    def arguments(self, requests: Sequence[Request], width: int, height: int) -> dict[str, Any]:
        return self.prompt_arguments(requests) | self.adapter_arguments(requests)


@dataclass
class StableDiffusionXL(Guided, TunableUNet, IPAdapter):
    """Stable Diffusion XL: pictures from text, and from a reference by an IP-Adapter. Podell et al. 2023."""

    pipeline_class: ClassVar[str] = "StableDiffusionXLPipeline"

    model: str = "stabilityai/stable-diffusion-xl-base-1.0"
    """A folder as diffusers saves it, or a hub id."""
    guidance: Annotated[float, Ge(0)] = 5.0
    """Classifier-free guidance: prediction = negative + guidance * (positive - negative). Up to 1 is none."""
    adapter_weights: str = "sdxl_models/ip-adapter_sdxl_vit-h.safetensors"
    """The file of the adapter, as a path in it; the default is that of h94/IP-Adapter. Only safetensors are read."""
    image_encoder: str = VIT_H
    """The encoder that the adapter was trained with: a folder or a hub id."""

    def arguments(self, requests: Sequence[Request], width: int, height: int) -> dict[str, Any]:
        return self.prompt_arguments(requests) | self.adapter_arguments(requests)

    def encode_pixels(self, pipeline: Any, pixels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        import torch

        latents = super().encode_pixels(pipeline, pixels, random)
        config = pipeline.vae.config
        if config.latents_mean is None or config.latents_std is None:
            return latents
        mean, std = (
            torch.tensor(v).reshape(1, -1, 1, 1).to(latents) for v in (config.latents_mean, config.latents_std)
        )
        return (latents - mean * config.scaling_factor) / std

    def encode_texts(self, pipeline: Any, texts: Sequence[str], width: int, height: int) -> Conditions:
        states, _, pooled, _ = pipeline.encode_prompt(list(texts), do_classifier_free_guidance=False)
        size = (height, width)
        embedded = pipeline.text_encoder_2.config.projection_dim if pipeline.text_encoder_2 else pooled.shape[-1]
        ids = pipeline._get_add_time_ids(size, (0, 0), size, dtype=states.dtype, text_encoder_projection_dim=embedded)
        added = {"text_embeds": pooled, "time_ids": ids.repeat(len(texts), 1).to(states.device)}
        return {"encoder_hidden_states": states, "added_cond_kwargs": added}


@dataclass
class StableDiffusion3(Guided, LoRATunable, IPAdapter):
    """Stable Diffusion 3 and 3.5: pictures from text, and from a reference by an IP-Adapter. Esser et al. 2024."""

    targets: ClassVar[tuple[str, ...]] = JOINT_ATTENTION
    pipeline_class: ClassVar[str] = "StableDiffusion3Pipeline"
    encoder_class: ClassVar[str] = "SiglipVisionModel"

    model: str = "stabilityai/stable-diffusion-3.5-large"
    """A folder as diffusers saves it, or a hub id."""
    guidance: Annotated[float, Ge(0)] = 4.5
    """Classifier-free guidance: prediction = negative + guidance * (positive - negative). Up to 1 is none."""
    image_encoder: str = "google/siglip-so400m-patch14-384"
    """The encoder that the adapter was trained with: a folder or a hub id."""
    max_sequence_length: Annotated[int, Ge(1), Le(512)] = 256
    """Tokens of the prompt that T5 reads; longer prompts are cut."""

    def arguments(self, requests: Sequence[Request], width: int, height: int) -> dict[str, Any]:
        length = {"max_sequence_length": self.max_sequence_length}
        return self.prompt_arguments(requests) | length | self.adapter_arguments(requests)

    def encode_pixels(self, pipeline: Any, pixels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        config = pipeline.vae.config
        scaled: torch.Tensor = (kl_latents(pipeline, pixels, random) - config.shift_factor) * config.scaling_factor
        return scaled

    def encode_texts(self, pipeline: Any, texts: Sequence[str], width: int, height: int) -> Conditions:
        states, _, pooled, _ = pipeline.encode_prompt(
            list(texts), None, None, do_classifier_free_guidance=False, max_sequence_length=self.max_sequence_length
        )
        return {"encoder_hidden_states": states, "pooled_projections": pooled}

    def losses(
        self, pipeline: Any, latents: torch.Tensor, conditions: Conditions, random: torch.Generator
    ) -> torch.Tensor:
        from realism_generators.tuning_losses import draw_normal, draw_sigmas, flowing, squared_error

        noise = draw_normal(latents, random)
        sigmas = draw_sigmas(pipeline.scheduler.sigmas, len(latents), random).to(latents.device)
        times = sigmas * pipeline.scheduler.config.num_train_timesteps
        noisy = flowing(latents, noise, sigmas)
        return squared_error(pipeline.transformer(noisy, timestep=times, **conditions).sample, noise - latents)
