"""Stable Diffusion: 1.x and 2.x, XL, 3 and 3.5, with references by IP-Adapter. What differs is data."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Le
from realism.base.cut_texts import token_counts
from realism.data.types import Request

from realism_generators.denoiser import Denoiser, Scaling, replace_conditions
from realism_generators.diffusers_pipeline import DiffusersGenerator
from realism_generators.ip_adapter import IPAdapter
from realism_generators.tuning import JOINT_ATTENTION, Tensors

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from realism_generators.schedules import Schedule

VIT_H = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"


@dataclass
class Guided(DiffusersGenerator):
    """A pipeline with classifier-free guidance."""

    guidance: Annotated[float, Ge(0)] = 7.5
    """Classifier-free guidance: prediction = negative + guidance * (positive - negative). Up to 1 is none."""
    negative_prompt: str = ""
    """What pictures should not show; only used with guidance above 1."""

    def prompt_arguments(self, requests: Sequence[Request]) -> dict[str, Any]:
        """The arguments of the prompts and of guidance."""
        arguments: dict[str, Any] = {
            "prompt": [request.text for request in requests],
            "guidance_scale": self.guidance,
        }
        if self.negative_prompt:  # "" is not the same as none to XL, which then takes zeros
            arguments["negative_prompt"] = [self.negative_prompt] * len(requests)
        return arguments


@dataclass
class GuidedDenoiser(Guided, Denoiser):
    """A denoiser with classifier-free guidance."""

    @property
    def guidance_weight(self) -> float:
        return self.guidance

    def unconditional(self) -> Tensors:
        """The conditions of "", or zeros where the pipeline takes those (XL)."""
        import torch

        empty = self.condition([""])
        if self.pipeline.config.get("force_zeros_for_empty_prompt"):
            return {name: torch.zeros_like(rows) for name, rows in empty.items()}
        return empty

    def negative(self, conditions: Tensors) -> Tensors:
        one = self.condition([self.negative_prompt]) if self.negative_prompt else self.unconditional()
        return replace_conditions(conditions, one)


@dataclass
class UNetDenoiser(GuidedDenoiser):
    """A U-Net that predicts epsilon, v or the sample, as its scheduler's configuration says."""

    network: ClassVar[str] = "unet"
    supports_min_snr: ClassVar[bool] = True

    def make_schedule(self, pipeline: Any) -> Schedule:
        from realism_generators.schedules import DiffusionSchedule

        return DiffusionSchedule(pipeline.scheduler)

    @abstractmethod
    def unet_arguments(self, latents: torch.Tensor, conditions: Tensors) -> dict[str, Any]:
        """The arguments of the U-Net's call for those conditions, besides latents and timesteps."""

    def predict(self, latents: torch.Tensor, timesteps: torch.Tensor, conditions: Tensors) -> torch.Tensor:
        device = self.network_device
        arguments = self.unet_arguments(latents, {name: rows.to(device) for name, rows in conditions.items()})
        noisy, timesteps = latents.to(device, self.torch_dtype), timesteps.to(device).expand(len(latents))
        predicted: torch.Tensor = self.pipeline.unet(noisy, timesteps, **arguments).sample
        return predicted.float()


@dataclass
class StableDiffusion(UNetDenoiser, IPAdapter):
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

    @property
    def scaling(self) -> Scaling:
        return 0, self.pipeline.vae.config.scaling_factor

    def condition(self, texts: Sequence[str], references: Sequence[Image.Image] = ()) -> Tensors:
        import torch

        self.check_no_reference(references)
        device = self.pipeline.text_encoder.device
        with torch.no_grad():
            prompt_embeds, _ = self.pipeline.encode_prompt(list(texts), device, 1, do_classifier_free_guidance=False)
        return {"encoder_hidden_states": prompt_embeds}

    def unet_arguments(self, latents: torch.Tensor, conditions: Tensors) -> dict[str, Any]:
        return dict(conditions)


@dataclass
class StableDiffusionXL(UNetDenoiser, IPAdapter):
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

    @property
    def scaling(self) -> Scaling:
        import torch

        config, device = self.pipeline.vae.config, self.autoencoder.device
        if config.latents_mean is None or config.latents_std is None:
            return 0, config.scaling_factor
        mean, std = (
            torch.tensor(v, device=device).reshape(1, -1, 1, 1) for v in (config.latents_mean, config.latents_std)
        )
        return mean, config.scaling_factor / std

    def condition(self, texts: Sequence[str], references: Sequence[Image.Image] = ()) -> Tensors:
        import torch

        self.check_no_reference(references)
        device = self.pipeline.text_encoder_2.device
        with torch.no_grad():
            prompt_embeds, _, pooled_prompt_embeds, _ = self.pipeline.encode_prompt(
                list(texts), device=device, do_classifier_free_guidance=False
            )
        return {"encoder_hidden_states": prompt_embeds, "text_embeds": pooled_prompt_embeds}

    def unet_arguments(self, latents: torch.Tensor, conditions: Tensors) -> dict[str, Any]:
        """The U-Net is also conditioned on the size of the picture: original and target size, without a crop."""
        pooled = conditions["text_embeds"]
        size = tuple(side * self.pipeline.vae_scale_factor for side in latents.shape[-2:])
        ids = self.pipeline._get_add_time_ids(
            size, (0, 0), size, dtype=pooled.dtype, text_encoder_projection_dim=pooled.shape[-1]
        )
        added = {"text_embeds": pooled, "time_ids": ids.repeat(len(pooled), 1).to(pooled.device)}
        return {"encoder_hidden_states": conditions["encoder_hidden_states"], "added_cond_kwargs": added}


@dataclass
class StableDiffusion3(GuidedDenoiser, IPAdapter):
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

    def lengths(self, texts: Sequence[str]) -> tuple[int, list[int]]:
        if self.pipeline.text_encoder_3 is None:  # a model may come without T5
            return super().lengths(texts)
        return self.max_sequence_length, token_counts(self.pipeline.tokenizer_3, texts)

    def make_schedule(self, pipeline: Any) -> Schedule:
        from realism_generators.schedules import FlowSchedule

        return FlowSchedule(pipeline.scheduler, pipeline.transformer.config.patch_size, evenly=False)

    @property
    def scaling(self) -> Scaling:
        return self.pipeline.vae.config.shift_factor, self.pipeline.vae.config.scaling_factor

    def condition(self, texts: Sequence[str], references: Sequence[Image.Image] = ()) -> Tensors:
        import torch

        self.check_no_reference(references)
        options = {"do_classifier_free_guidance": False, "max_sequence_length": self.max_sequence_length}
        with torch.no_grad():
            prompt_embeds, _, pooled_prompt_embeds, _ = self.pipeline.encode_prompt(
                list(texts), None, None, device=self.pipeline.text_encoder.device, **options
            )
        return {"encoder_hidden_states": prompt_embeds, "pooled_projections": pooled_prompt_embeds}

    def predict(self, latents: torch.Tensor, timesteps: torch.Tensor, conditions: Tensors) -> torch.Tensor:
        device = self.network_device
        arguments = {name: rows.to(device) for name, rows in conditions.items()}
        noisy, timesteps = latents.to(device, self.torch_dtype), timesteps.to(device).expand(len(latents))
        predicted: torch.Tensor = self.pipeline.transformer(noisy, timestep=timesteps, **arguments).sample
        return predicted.float()
