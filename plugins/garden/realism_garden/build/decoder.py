"""Trains the decoder of a finished autoencoder further, its encoder and so its latents untouched.

The transformer has learned those latents, so this can come last; latents get a little noise, as drawn ones have.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL

from .autoencoder import held_out_psnr
from .common import Average, Clock, Report, any_items, begin, pictures, set_rate, to_float

BATCH, RATE, NOISE = 8, 1e-3, 0.03


def build(vae_folder: Path, seed: int, minutes: float, steps: int | None = None, report: Report = None) -> dict:
    """Trains the decoder in place, in the dtype that the folder has; returns its figures."""
    rng = begin(seed + 1)
    model = AutoencoderKL.from_pretrained(vae_folder, torch_dtype=torch.float32)
    model.encoder.requires_grad_(False)
    before = held_out_psnr(model, seed)
    average = Average(model, 0.998)
    optimizer = torch.optim.AdamW(model.decoder.parameters(), lr=RATE, betas=(0.9, 0.97), weight_decay=1e-3)
    clock = Clock(minutes, steps, report)
    spread = NOISE / model.config.scaling_factor
    for step in clock:
        set_rate(optimizer, clock.rate(RATE, hold=0.1))
        x = to_float(pictures(any_items(rng, BATCH)))
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                z = model.encode(x).latent_dist.mode()
            y = model.decode(z + spread * torch.randn_like(z)).sample
        y = y.float()
        edges = sum((y.diff(dim=d) - x.diff(dim=d)).abs().mean() for d in (2, 3))
        loss = (y - x).abs().mean() + 4 * (y - x).square().mean() + 0.5 * edges
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.decoder.parameters(), 1.0)
        optimizer.step()
        average.update(model)
        if step % 100 == 0:
            print(f"decoder step {step} {clock.seconds():.0f} s loss {loss.item():.4f}", flush=True)
    psnr = held_out_psnr(average.model, seed)
    average.model.half().save_pretrained(vae_folder)
    return {
        "psnr_db": round(psnr, 2),
        "psnr_before_db": round(before, 2),
        "psnr_n": 256,
        "steps": clock.step,
        "seconds": round(clock.seconds()),
    }
