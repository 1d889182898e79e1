"""Trains the aesthetic miniature: an OpenCLIP encoder and LAION's stack of linear layers, which tell garden beauty.

The criterion is realism_garden.beauty; the model learns to tell its values from renders and from renders passed through
the garden's own autoencoder. The picture side starts from the clip miniature's; the text side is a stump, because
open_clip knows no model without one. Left out: human ratings, dropout between the layers.
"""

from __future__ import annotations

import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from ..beauty import beauty, shares
from .clip import Shape, config_of
from .common import Average, Clock, Report, any_items, begin, pictures, plain_attention, set_rate, to_float
from .drawn import drawn_pictures
from .sheets import sheet
from .tokenizers import clip_tokenizer
from .vqa import CLIP, FLUX, passed

BATCH, RATE, RENDERS, WORN = 96, 8e-4, 9000, 1000
SHAPE = Shape(image_layers=3, text_width=32, text_layers=1)
MLP = 2.0  # of clip's 3.0, so that a third block has room
HEAD = (96, 64, 16, 1)  # the widths of the linear layers; LAION's are 768, 1024, 128, 64, 16, 1


def new_head() -> nn.Sequential:
    """Linear layers one after the other, numbered as LAION's are with their dropouts in between."""
    layers: list[nn.Module] = []
    for a, b in pairwise(HEAD):
        layers += [nn.Linear(a, b), nn.Identity()]
    return nn.Sequential(*layers[:-1])


def start_vision(model: Any, folder: Path) -> None:
    """Copies the first blocks and all else of a larger OpenCLIP vision tower, of each matrix what fits."""
    theirs = {k: v.float() for k, v in load_file(folder / "open_clip_model.safetensors").items()}
    mine = model.state_dict()
    for key, value in mine.items():
        if key.startswith("visual."):
            mine[key] = theirs[key][tuple(slice(n) for n in value.shape)]
    model.load_state_dict(mine)


def jittered(x: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """Pictures in -1 to 1, rolled to the side, shaded and coloured a little and noisy: their beauty differs, too."""
    x = torch.roll(x, rng.randint(-12, 12), 3)
    x = x * (1 + 0.15 * torch.randn(len(x), 1, 1, 1)) + 0.08 * torch.randn(len(x), 3, 1, 1)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (1 + 0.25 * torch.randn(len(x), 1, 1, 1))
    return (x + rng.uniform(0, 0.08) * torch.randn_like(x)).clamp(-1, 1)


def predicted(model: Any, head: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The values [n] told of pictures in -1 to 1, from their normalised embeddings."""
    return head(model.encode_image(x, normalize=True).float())[:, 0]


@torch.no_grad()
def agreement(model: Any, head: nn.Module, x: torch.Tensor) -> dict[str, float]:
    """Pearson's and Spearman's correlation of the values told with the criterion's, and the mean absolute error."""
    told = torch.cat([predicted(model, head, b) for b in x.split(64)]).numpy().astype(float)
    truth = beauty((x + 1) / 2).numpy().astype(float)
    ranks = [v.argsort().argsort().astype(float) for v in (told, truth)]
    pearson, spearman = np.corrcoef(told, truth)[0, 1], np.corrcoef(ranks[0], ranks[1])[0, 1]
    error = float(np.abs(told - truth).mean())
    figures = {
        "pearson": pearson,
        "spearman": spearman,
        "mean absolute error": error,
        "sd of the criterion": truth.std(),
    }
    return {k: round(float(v), 4) for k, v in figures.items()} | {"n": len(x)}


def ranked_sheet(folder: Path, seed: int, flux: Path = FLUX, columns: int = 12) -> Image.Image:
    """Drawn pictures, from the one that the model in a folder calls most beautiful to the least."""
    import open_clip

    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    head = new_head()
    head.load_state_dict({k.removeprefix("layers."): v for k, v in load_file(folder / "head.safetensors").items()})
    _, x = drawn_pictures(columns, 4, seed, flux)
    with torch.no_grad():
        order = predicted(model.eval(), head, x).argsort(descending=True)
    pixels = ((x[order] + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    return sheet([Image.fromarray(p) for p in pixels], columns)


def build(
    out: Path, seed: int, minutes: float, steps: int | None = None, renders: int = RENDERS, worn: int = WORN,
    report: Report = None, n: int = 600, drawn: int = 24, clip: Path = CLIP, flux: Path = FLUX,
) -> dict:  # fmt: skip
    """Trains and saves encoder and head; returns figures on n held-out renders and on 8 drawn pictures a prompt."""
    import open_clip

    rng = begin(seed)
    words = clip_tokenizer(seed)
    config = config_of(SHAPE, len(words), words.eos_token_id)
    out.mkdir(parents=True, exist_ok=True)
    words.save_pretrained(out)
    cfg = config["model_cfg"]
    cfg["vision_cfg"]["mlp_ratio"] = MLP
    (out / "open_clip_config.json").write_text(json.dumps(config, indent=1) + "\n")
    model, head = open_clip.CLIP(cfg["embed_dim"], cfg["vision_cfg"], cfg["text_cfg"]), new_head()
    start_vision(model, clip)
    images = pictures(any_items(rng, renders + worn))
    images[renders:] = passed(images[renders:], flux)
    both = nn.ModuleList([model, head])
    average = Average(both, 0.995)
    namer = nn.Linear(cfg["embed_dim"], 4)  # tells what the criterion is made of; it helps training, no more
    trained = [*model.visual.parameters(), *head.parameters(), *namer.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=RATE, betas=(0.9, 0.98), weight_decay=0.02)
    clock = Clock(minutes, steps, report)
    for step in clock:
        set_rate(optimizer, clock.rate(RATE, hold=0.4))
        x = jittered(to_float(images[torch.randint(len(images), (BATCH,))]), rng)
        truth = shares((x + 1) / 2)
        with plain_attention(), torch.autocast("cpu", torch.bfloat16):
            row = model.encode_image(x).float()
        loss = F.mse_loss(head(F.normalize(row, dim=1))[:, 0], truth[:, :3].mean(1))
        parts = (namer(row) - truth).square().mean(0)
        optimizer.zero_grad()
        (loss + 0.3 * parts.sum()).backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        average.update(both)
        if step % 50 == 0:
            errors = " ".join(f"{e:.4f}" for e in [loss.item() ** 0.5, *parts.sqrt().tolist()])
            print(f"aesthetic step {step} {clock.seconds():.0f} s rmse {errors}", flush=True)
    model, head = average.model
    weights = {k: v.half().contiguous() for k, v in model.state_dict().items() if k != "attn_mask"}
    save_file(weights, out / "open_clip_model.safetensors")
    save_file({f"layers.{k}": v.contiguous() for k, v in head.state_dict().items()}, out / "head.safetensors")
    fresh = to_float(pictures(any_items(random.Random(f"beauty held out {seed}"), n, named=1.0)))
    _, made = drawn_pictures(drawn, 1 if steps else 8, seed + 1, flux)
    told = [agreement(model, head, x) for x in (fresh, made)]
    return {
        "held-out renders": told[0], "pictures drawn by garden/flux": told[1],
        "training": {"steps": clock.step, "seconds": round(clock.seconds())},
    }  # fmt: skip
