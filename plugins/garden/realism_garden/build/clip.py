"""Trains the clip miniature: an OpenCLIP dual encoder that knows all 24 species, in a folder that open_clip loads.

Loads with open_clip.create_model_and_transforms("local-dir:FOLDER") and get_tokenizer("local-dir:FOLDER"), offline.
Left out: large batches and a gathered loss. Heads that name species and scene help training and are thrown away.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from ..captions import caption
from ..reader import HEADS, labels
from ..scene import Scene, random_scene
from ..species import SPECIES
from .common import Average, Clock, Report, begin, pictures, plain_attention, set_rate, to_float
from .tokenizers import TOKENS, clip_tokenizer

BATCH, RATE, POOL = 192, 1.5e-3, 14400


@dataclass(frozen=True)
class Shape:
    """The size of a dual encoder; image and text widths are multiples of 32."""

    embed: int = 96
    image_width: int = 128
    image_layers: int = 4
    patch: int = 8
    text_width: int = 96
    text_layers: int = 2


def config_of(shape: Shape, tokens: int, end: int) -> dict:
    """What open_clip_config.json says; a tokenizer of ``tokens`` pieces, whose last of a text is ``end``."""
    return {
        "model_cfg": {
            "embed_dim": shape.embed,
            "vision_cfg": {
                "image_size": 64, "patch_size": shape.patch, "width": shape.image_width,
                "layers": shape.image_layers, "head_width": 32, "mlp_ratio": 3.0,
            },
            "text_cfg": {
                "context_length": TOKENS, "vocab_size": tokens, "width": shape.text_width, "mlp_ratio": 2.0,
                "heads": shape.text_width // 32, "layers": shape.text_layers, "hf_tokenizer_name": "local",
                "tokenizer_kwargs": {"clean": "lower"}, "pool_type": "eos", "eos_id": end,
            },
        },
        "preprocess_cfg": {
            "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash",
        },
    }  # fmt: skip


class ScenePool:
    """Scenes of all 24 species with their pictures, drawn once; captions are new at each use."""

    def __init__(self, seed: object, n: int):
        self.rng = random.Random(f"clip pool {seed}")
        self.scenes: list[Scene] = [random_scene(self.rng, SPECIES[i % len(SPECIES)]) for i in range(n)]
        self.images = pictures([(s, self.rng.randrange(2**31)) for s in self.scenes])
        self.labels = torch.tensor([labels(s) for s in self.scenes])

    def batch(self, n: int) -> tuple[torch.Tensor, list[str], torch.Tensor]:
        """Pictures in -1 to 1, a caption of each, labels [n, heads]."""
        picks = [self.rng.randrange(len(self.scenes)) for _ in range(n)]
        return to_float(self.images[picks]), [caption(self.scenes[i], self.rng) for i in picks], self.labels[picks]


def jittered(x: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """Pictures a little shifted, shaded and noisy, so that drawn ones embed as rendered ones do."""
    x = torch.roll(x, (rng.randint(-2, 2), rng.randint(-2, 2)), (2, 3))
    x = x * (1 + 0.1 * torch.randn(len(x), 1, 1, 1)) + 0.05 * torch.randn(len(x), 3, 1, 1)
    return (x + 0.06 * torch.randn_like(x)).clamp(-1, 1)


def contrast(image: torch.Tensor, text: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """The symmetric loss of CLIP for unit vectors [n, d]; pair i is (image i, text i)."""
    logits = scale * image @ text.T
    truth = torch.arange(len(image))
    return 0.5 * (F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth))


@torch.no_grad()
def embed(model: Any, tokenizer: Any, images: torch.Tensor, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit vectors [n, d] of pictures in -1 to 1 and of texts."""
    image = torch.cat([model.encode_image(b, normalize=True) for b in images.split(128)])
    return image, model.encode_text(tokenizer(texts), normalize=True)


def recall(image: torch.Tensor, text: torch.Tensor, image_species: list[str], text_species: list[str]) -> float:
    """The share of texts whose nearest picture shows their species."""
    nearest = (text @ image.T).argmax(1).tolist()
    return sum(image_species[i] == s for i, s in zip(nearest, text_species, strict=True)) / len(text_species)


def share_named(image: torch.Tensor, plain: torch.Tensor, names: list[str]) -> float:
    """The share of pictures whose nearest plain caption, of 24, names their species."""
    nearest = (image @ plain.T).argmax(1).tolist()
    return sum(SPECIES[i].name == s for i, s in zip(nearest, names, strict=True)) / len(names)


def held_out(model: Any, tokenizer: Any, seed: int, n: int = 960) -> dict[str, float]:
    """Recall of the species at 1 among n fresh renders: for their captions, and for "a photo of a SPECIES"."""
    from ..captions import plain_caption

    pool = ScenePool(f"held out {seed}", n)
    names = [s.species.name for s in pool.scenes]
    captions = [caption(s, pool.rng) for s in pool.scenes]
    image, text = embed(model, tokenizer, to_float(pool.images), captions)
    plain = embed(model, tokenizer, to_float(pool.images[:1]), [plain_caption(s.name) for s in SPECIES])[1]
    pairs = (text @ image.T).argmax(1) == torch.arange(n)
    return {
        "species_recall_at_1": round(recall(image, text, names, names), 4),
        "plain_species_recall_at_1": round(recall(image, plain, names, [s.name for s in SPECIES]), 4),
        "picture_named_right": round(share_named(image, plain, names), 4),
        "same_picture_recall_at_1": round(float(pairs.float().mean()), 4),
        "n": n,
    }  # fmt: skip


def build(
    out: Path, seed: int, minutes: float, steps: int | None = None, shape: Shape | None = None,
    pool_size: int = POOL, report: Report = None,
) -> dict:  # fmt: skip
    """Trains and saves a dual encoder; returns its figures."""
    import open_clip

    rng = begin(seed)
    words = clip_tokenizer(seed)
    config = config_of(shape or Shape(), len(words), words.eos_token_id)
    out.mkdir(parents=True, exist_ok=True)
    words.save_pretrained(out)
    (out / "open_clip_config.json").write_text(json.dumps(config, indent=1) + "\n")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{out}")
    cfg = config["model_cfg"]
    model = open_clip.CLIP(cfg["embed_dim"], cfg["vision_cfg"], cfg["text_cfg"])
    heads = nn.ModuleDict({h: nn.Linear(cfg["embed_dim"], len(v)) for h, v in HEADS.items()})
    pool = ScenePool(seed, pool_size)
    average = Average(model, 0.995)
    optimizer = torch.optim.AdamW(
        [*model.parameters(), *heads.parameters()], lr=RATE, betas=(0.9, 0.98), weight_decay=0.05
    )
    clock = Clock(minutes, steps, report)
    with plain_attention():
        for step in clock:
            set_rate(optimizer, clock.rate(RATE, warm=0.08, hold=0.3))
            x, texts, truth = pool.batch(BATCH)
            with torch.autocast("cpu", torch.bfloat16):
                image = model.encode_image(jittered(x, rng), normalize=True).float()
                text = model.encode_text(tokenizer(texts), normalize=True).float()
            loss = contrast(image, text, model.logit_scale.exp())
            told = [F.cross_entropy(heads[h](image * 10), truth[:, j]) for j, h in enumerate(HEADS)]
            named = torch.stack(told).sum() + 3 * F.cross_entropy(heads["species"](text * 10), truth[:, 0])
            optimizer.zero_grad()
            (loss + 0.1 * named).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            model.logit_scale.data.clamp_(0, 4.6)
            average.update(model)
            if step % 50 == 0:
                print(f"clip step {step} {clock.seconds():.0f} s loss {loss.item():.3f} {named.item():.3f}", flush=True)
    weights = {k: v.half().contiguous() for k, v in average.model.state_dict().items() if k != "attn_mask"}
    save_file(weights, out / "open_clip_model.safetensors")
    return {**held_out(average.model, tokenizer, seed), "steps": clock.step, "seconds": round(clock.seconds())}
