"""Stable Diffusion: 1.x and 2.x, XL, 3 and 3.5, with references by IP-Adapter. What differs is data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le
from realism.nouns import Request

from realism_generators.diffusers_pipeline import DiffusersGenerator
from realism_generators.ip_adapter import IPAdapter

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
class StableDiffusion(Guided, IPAdapter):
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
class StableDiffusionXL(Guided, IPAdapter):
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


@dataclass
class StableDiffusion3(Guided, IPAdapter):
    """Stable Diffusion 3 and 3.5: pictures from text, and from a reference by an IP-Adapter. Esser et al. 2024."""

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
