"""The small AutoencoderKL of the flux miniature: 64 × 64 pictures to latents [4, 16, 16] and back.

Left out on purpose: no discriminator and no perceptual network (pictures this flat need neither), and next to no KL
(at 1e-5 the pictures blur below 20 dB). Run alone: python -m realism_garden.build.autoencoder OUT --minutes 12
"""

from __future__ import annotations

import argparse
import math
import random
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
def held_out_psnr(model: AutoencoderKL, seed: int, n: int = 256) -> float:
    """Mean peak signal-to-noise ratio in dB on n fresh renders of all 24 species and random ones."""
    total = 0.0
    for x in to_float(pictures(any_items(random.Random(f"held out {seed}"), n))).split(32):
        y = model.decode(model.encode(x).latent_dist.mode()).sample.clamp(-1, 1)
        mse = ((x - y) / 2).square().mean((1, 2, 3))
        total += float((-10 * mse.log10()).sum())
    return total / n


@torch.no_grad()
def set_latent_scale(model: AutoencoderKL, seed: int) -> None:
    """Writes the measured mean and 1 / std of latents as shift_factor and scaling_factor."""
    x = to_float(pictures(any_items(random.Random(f"scale {seed}"), 256)))
    z = torch.cat([model.encode(b).latent_dist.mode() for b in x.split(32)])
    model.register_to_config(shift_factor=float(z.mean()), scaling_factor=float(1 / z.std()))


def build(out: Path, seed: int = 0, minutes: float = 12, steps: int | None = None, report: Report = None) -> dict:
    """Trains and saves the autoencoder; returns its figures."""
    rng = begin(seed)
    model = new_autoencoder()
    average = Average(model, 0.998)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.97), weight_decay=1e-3)
    clock, saved = Clock(minutes, steps, report), 0.0
    for step in clock:
        set_rate(optimizer, clock.rate(RATE, hold=0.4))
        loss = loss_of(model, to_float(pictures(any_items(rng, BATCH))))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update(model)
        if step % 50 == 0:
            print(f"ae step {step} {clock.seconds():.0f} s loss {float(loss):.4f}", flush=True)
        if clock.seconds() - saved > 150:
            saved = clock.seconds()
            average.model.save_pretrained(out)
            print(f"ae psnr {held_out_psnr(average.model, seed, 64):.2f} dB at step {step}", flush=True)
    set_latent_scale(average.model, seed)
    average.model.save_pretrained(out)
    psnr = held_out_psnr(average.model, seed)
    if not math.isfinite(psnr):
        raise RuntimeError("the autoencoder's error is not finite")
    return {"psnr_db": round(psnr, 2), "psnr_n": 256, "steps": clock.step, "seconds": round(clock.seconds())}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(build(args.out, args.seed, args.minutes, args.steps))
