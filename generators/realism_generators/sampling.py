"""Sampling by the functions of a denoiser: the same pictures as the pipelines of diffusers, with access to each
step."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from PIL import Image

    from realism_generators.denoiser import Denoiser
    from realism_generators.tuning import Tensors


def sample(
    denoiser: Denoiser, texts: Sequence[str], seeds: Sequence[int], references: Sequence[Image.Image] = ()
) -> torch.Tensor:
    """Latents (b, c, h, w) float32 of a picture for each text and seed, with the generator's steps, size and guidance,
    by its pipeline's scheduler: decoded, the pictures of `generate`, to 1/255 in float32. references: one for each
    text, or none. There is a gradient unless gradients are off."""
    conditions = denoiser.condition(texts, references)
    negative = denoiser.negative(conditions) if denoiser.guidance_weight > 1 else None
    random = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    latents = draw_noise(denoiser, random)
    scheduler = denoiser.schedule.scheduler(denoiser.steps, latents)
    accepted = (
        {"generator"} & inspect.signature(scheduler.step).parameters.keys() if denoiser.schedule.kind != "flow" else ()
    )
    latents = latents * getattr(scheduler, "init_noise_sigma", 1)
    for timestep in scheduler.timesteps:
        scaled = scheduler.scale_model_input(latents, timestep) if hasattr(scheduler, "scale_model_input") else latents
        predicted = guided(denoiser, scaled, timestep[None], conditions, negative)
        latents = scheduler.step(predicted, timestep, latents, **dict.fromkeys(accepted, random)).prev_sample
    return latents


def draw_noise(denoiser: Denoiser, random: Sequence[torch.Generator]) -> torch.Tensor:
    """Gaussian noise (b, c, h, w) float32 for pictures of the generator's size, one generator on the CPU for each."""
    pipeline, (width, height) = denoiser.pipeline, denoiser.width_height
    shape = (1, pipeline.vae.config.latent_channels, *(side // pipeline.vae_scale_factor for side in (height, width)))
    noise = torch.cat([torch.randn(shape, generator=each) for each in random])
    return noise.to(denoiser.network_device)


def guided(
    denoiser: Denoiser, latents: torch.Tensor, timesteps: torch.Tensor, conditions: Tensors, negative: Tensors | None
) -> torch.Tensor:
    """The prediction (b, c, h, w) with classifier-free guidance, Ho and Salimans 2022, arXiv 2207.12598: negative + w *
    (positive - negative), w the denoiser's `guidance_weight`; without negative conditions, the positive alone."""
    positive = denoiser.predict(latents, timesteps, conditions)
    if negative is None:
        return positive
    unguided = denoiser.predict(latents, timesteps, negative)
    return unguided + denoiser.guidance_weight * (positive - unguided)
