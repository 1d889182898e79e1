"""Trains the reader on renders alone, worn by blur, noise, JPEG, shifts and shades, so that it reads worn pictures too.

Left out: generated pictures (a reader trained on a generator's output would forgive its faults).
"""

from __future__ import annotations

import io
import random
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional as F

from ..reader import HEADS, Reader, labels
from ..render import render
from .common import Average, Clock, Report, any_items, begin, pictures, set_rate, to_float

BATCH, RATE = 64, 2e-3


def worn(x: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """Pictures [n, 3, 64, 64] in -1 to 1, each quarter of the batch worn in its own way, all shifted and shaded."""
    a, b, c, d = x.chunk(4)
    small = F.interpolate(b, scale_factor=rng.uniform(0.5, 0.9), mode="bilinear", antialias=True)
    b = F.interpolate(small, size=(64, 64), mode="bilinear")
    c = c + rng.uniform(0.02, 0.2) * torch.randn_like(c)
    d = F.avg_pool2d(F.pad(d, (1, 1, 1, 1), mode="replicate"), 3, 1)
    x = torch.cat([a, b, c, d])
    n = len(x)
    x = x * (1 + 0.15 * torch.randn(n, 1, 1, 1)) + 0.08 * torch.randn(n, 3, 1, 1)
    dx, dy = rng.randint(-2, 2), rng.randint(-2, 2)
    return torch.roll(x, (dy, dx), (2, 3)).clamp(-1, 1)


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    """A picture after JPEG at this quality (1 to 95)."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


@torch.no_grad()
def held_out(model: Reader, seed: int, n: int = 2000) -> dict[str, float]:
    """Share right on n fresh renders of the 24 species by head, and of species on the same renders worn."""
    items = any_items(random.Random(f"reader held out {seed}"), n, named=1.0)
    truth = torch.tensor([labels(s) for s, _ in items])
    x = to_float(pictures(items))
    out = {}
    for j, head in enumerate(HEADS):
        seen = model.read(x)[head]
        out[head] = sum(HEADS[head][int(t)] == s for t, s in zip(truth[:, j], seen, strict=True)) / n
    jpeg = model.read([as_jpeg(render(s, k), 60) for s, k in items])["species"]
    out["species_jpeg60"] = sum(s.species.name == p for (s, _), p in zip(items, jpeg, strict=True)) / n
    noisy = model.read((x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(-1, 1))
    out["species_noise"] = sum(s.species.name == p for (s, _), p in zip(items, noisy["species"], strict=True)) / n
    return {k: round(v, 4) for k, v in out.items()}


def build(out: Path, seed: int, minutes: float, steps: int | None = None, report: Report = None) -> dict:
    """Trains and saves the reader; returns its figures."""
    rng = begin(seed)
    model = Reader()
    average = Average(model, 0.99)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=1e-2)
    clock = Clock(minutes, steps, report)
    for step in clock:
        set_rate(optimizer, clock.rate(RATE, hold=0.3))
        items = any_items(rng, BATCH, named=0.7)
        truth = torch.tensor([labels(s) for s, _ in items])
        logits = model(worn(to_float(pictures(items)), rng))
        losses = [F.cross_entropy(logits[h], truth[:, j], ignore_index=-1) for j, h in enumerate(HEADS)]
        loss = torch.stack(losses).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.update(model)
        if step % 100 == 0:
            print(f"reader step {step} {clock.seconds():.0f} s loss {loss.item():.3f}", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    weights = average.model.state_dict()
    weights = {k: v.half().contiguous() if v.is_floating_point() else v for k, v in weights.items()}
    save_file(weights, out / "reader.safetensors")
    return {**held_out(average.model, seed), "n": 2000, "steps": clock.step, "seconds": round(clock.seconds())}
