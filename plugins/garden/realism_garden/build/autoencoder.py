"""The small AutoencoderKL of the flux miniature: 64 × 64 pictures to latents [4, 16, 16] and back.

Left out on purpose: no discriminator and no perceptual network (pictures this flat need neither), and next to no KL
(at 1e-5 the pictures blur below 20 dB).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from diffusers import AutoencoderKL

from .common import Average, Clock, Report, any_items, begin, pictures, set_rate, to_float

BATCH, RATE, KL = 8, 2e-3, 1e-7


def new_autoencoder() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(32, 64, 64),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=8,
        sample_size=64,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )


def loss_of(model: AutoencoderKL, x: torch.Tensor) -> torch.Tensor:
    """Reconstruction (absolute, squared, and absolute on edges) with a whisper of KL, for pictures in -1 to 1."""
    with torch.autocast("cpu", torch.bfloat16):
        posterior = model.encode(x).latent_dist
        y = model.decode(posterior.sample()).sample
    y = y.float()
    edges = sum((y.diff(dim=d) - x.diff(dim=d)).abs().mean() for d in (2, 3))
    return (y - x).abs().mean() + 4 * (y - x).square().mean() + 0.5 * edges + KL * posterior.kl().mean()


@torch.no_grad()
def psnr(model: AutoencoderKL, images: torch.Tensor) -> float:
    """Mean peak signal-to-noise ratio in dB on pictures in -1 to 1."""
    total = 0.0
    for x in images.split(32):
        y = model.decode(model.encode(x).latent_dist.mode()).sample.clamp(-1, 1)
        mse = ((x - y) / 2).square().mean((1, 2, 3))
        total += float((-10 * mse.log10()).sum())
    return total / len(images)


def held_out_psnr(model: AutoencoderKL, seed: int, n: int = 256) -> float:
    """The same on n fresh renders of all 24 species and random ones."""
    return psnr(model, to_float(pictures(any_items(random.Random(f"held out {seed}"), n))))


@torch.no_grad()
def set_latent_scale(model: AutoencoderKL, images: torch.Tensor) -> None:
    """Writes the mean and 1 / std of the latents of pictures in -1 to 1 as shift_factor and scaling_factor."""
    z = torch.cat([model.encode(b).latent_dist.mode() for b in images.split(32)])
    model.register_to_config(shift_factor=float(z.mean()), scaling_factor=float(1 / z.std()))


def fit(model: AutoencoderKL, batch: Callable[[], torch.Tensor], clock: Clock, rate: float, hold: float) -> Iterator:
    """Trains a model on batches of pictures in -1 to 1; yields the averaged model after each step."""
    average = Average(model, 0.998)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.97), weight_decay=1e-3)
    for step in clock:
        set_rate(optimizer, clock.rate(rate, hold=hold))
        loss = loss_of(model, batch())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update(model)
        if step % 50 == 0:
            print(f"ae step {step} {clock.seconds():.0f} s loss {loss.item():.4f}", flush=True)
        yield average.model


def build(out: Path, seed: int, minutes: float, steps: int | None = None, report: Report = None) -> dict:
    """Trains and saves the autoencoder; returns its figures."""
    rng = begin(seed)
    clock, saved = Clock(minutes, steps, report), 0.0
    for average in fit(new_autoencoder(), lambda: to_float(pictures(any_items(rng, BATCH))), clock, RATE, hold=0.4):
        if clock.seconds() - saved > 150:
            saved = clock.seconds()
            average.save_pretrained(out)
            print(f"ae psnr {held_out_psnr(average, seed, 64):.2f} dB at step {clock.step}", flush=True)
    set_latent_scale(average, to_float(pictures(any_items(random.Random(f"scale {seed}"), 256))))
    average.save_pretrained(out)
    reached = held_out_psnr(average, seed)
    if not math.isfinite(reached):
        raise RuntimeError("the autoencoder's error is not finite")
    return {"psnr_db": round(reached, 2), "psnr_n": 256, "steps": clock.step, "seconds": round(clock.seconds())}
