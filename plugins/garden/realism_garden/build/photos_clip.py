"""Dual encoders of photographs: `clip`, which retrieves, and `judge`, which evaluates; folders that open_clip loads.

clip goes on from the garden's clip and learns from half of the photographs, so that it knows the names imperfectly and
has not seen the other half, the database. judge has another architecture (a ResNet at 96 pixels) and seed, and learns
from all training photographs under strong augmentation. Left out: pairs of pictures and captions; each picture is told
from the captions of the other species.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional as F

from ..captions import plain_caption
from .clip import Shape, config_of
from .common import Average, Clock, Report, begin, plain_attention, set_rate
from .photos_data import Photos, colours, recoloured, say, spoken, views

MODELS = Path(__file__).parents[1] / "models"


@dataclass(frozen=True)
class Plan:
    """How one of the two learns."""

    seed: int
    rate: float
    batch: int
    size: int
    smallest: float
    """The smallest cut, as a share of a photograph's side."""
    mixed: bool
    """Whether batches are mixed pairwise, with their labels (mixup)."""


CLIP = Plan(seed=0, rate=6e-4, batch=128, size=64, smallest=0.5, mixed=False)
JUDGE = Plan(seed=1000, rate=2e-3, batch=64, size=96, smallest=0.4, mixed=True)


def judge_config(tokens: int, end: int) -> dict:
    """What the judge's open_clip_config.json says: a small ResNet at 96 pixels, a text tower as the garden's judge."""
    config = config_of(Shape(embed=64, text_width=64), tokens, end)
    vision = {"image_size": JUDGE.size, "layers": [1, 1, 1, 1], "width": 32, "head_width": 32}
    config["model_cfg"]["vision_cfg"] = vision
    return config


def begun(out: Path, plan: Plan) -> tuple[Any, Any]:
    """The model to train and its tokenizer; ``out`` gets all of its folder but the weights."""
    import open_clip
    from transformers import CLIPTokenizer

    start = MODELS / ("judge" if plan == JUDGE else "clip")
    words = CLIPTokenizer.from_pretrained(start)
    config = json.loads((start / "open_clip_config.json").read_text())
    if plan == JUDGE:
        config = judge_config(len(words), words.eos_token_id)
    out.mkdir(parents=True, exist_ok=True)
    words.save_pretrained(out)
    (out / "open_clip_config.json").write_text(json.dumps(config, indent=1) + "\n")
    if plan == JUDGE:
        cfg = config["model_cfg"]
        model = open_clip.CLIP(cfg["embed_dim"], cfg["vision_cfg"], cfg["text_cfg"])
        model.visual.to(memory_format=torch.channels_last)
    else:
        model = open_clip.create_model(f"local-dir:{start}", precision="fp32")
    return model, open_clip.get_tokenizer(f"local-dir:{out}")


def blurred(x: torch.Tensor) -> torch.Tensor:
    """Half of a batch, seen at 40 to 64 pixels and enlarged again, as drawn pictures are."""
    half, small = len(x) // 2, int(torch.randint(40, 65, ()))
    low = F.interpolate(x[:half], size=(small, small), mode="bilinear", antialias=True)
    return torch.cat([F.interpolate(low, size=x.shape[2:], mode="bicubic"), x[half:]])


def augmented(images: torch.Tensor, plan: Plan) -> torch.Tensor:
    """Views of photographs with changed colours, blur, noise, and one square blanked out."""
    x = recoloured(views(images, plan.size, plan.smallest, whole=0.1), colours(len(images), hue=0.15))
    x = blurred(x)
    x = x + 0.08 * torch.rand(len(x), 1, 1, 1) * torch.randn_like(x)
    side = plan.size // 4
    top, left = (int(torch.randint(0, plan.size - side, ())) for _ in range(2))
    x[::2, :, top : top + side, left : left + side] = 0
    return x


def loss_of(model: Any, tokenizer: Any, photos: Photos, plan: Plan, rng: random.Random) -> torch.Tensor:
    """Cross-entropy of a batch of views against one caption of each species."""
    picks = torch.randint(len(photos.images), (plan.batch,))
    x = augmented(photos.images[picks], plan)
    truth = F.one_hot(photos.species[picks], len(photos.names)).float()
    if plan.mixed:
        lam = float(torch.distributions.Beta(0.4, 0.4).sample())
        x, truth = torch.lerp(x, x.flip(0), lam), torch.lerp(truth, truth.flip(0), lam)
    with torch.autocast("cpu", torch.bfloat16):
        image = model.encode_image(x, normalize=True).float()
        text = model.encode_text(tokenizer([say(n, rng) for n in photos.names]), normalize=True).float()
    return F.cross_entropy(model.logit_scale.exp() * image @ text.T, truth, label_smoothing=0.05)


@plain_attention()
def build(
    out: Path, photos: Photos, plan: Plan, seed: int, minutes: float, steps: int | None = None, report: Report = None
) -> dict:
    """Trains one of the two on ``photos`` and saves its folder; returns steps and seconds."""
    rng = begin(plan.seed + seed)
    model, tokenizer = begun(out, plan)
    average = Average(model, 0.995)
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.rate, betas=(0.9, 0.98), weight_decay=0.1)
    clock = Clock(minutes, steps, report)
    for step in clock:
        model.train()
        set_rate(optimizer, clock.rate(plan.rate, warm=0.05, hold=0.3))
        loss = loss_of(model, tokenizer, photos, plan, rng)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        model.logit_scale.data.clamp_(0, 4.6)
        average.update(model)
        if step % 100 == 0:
            print(f"{out.name} step {step} {clock.seconds():.0f} s loss {loss.item():.3f}", flush=True)
    state = {k: v for k, v in average.model.state_dict().items() if k != "attn_mask"}
    half = {k: (v.half() if v.is_floating_point() else v).contiguous() for k, v in state.items()}
    save_file(half, out / "open_clip_model.safetensors")
    return {"steps": clock.step, "seconds": round(clock.seconds())}


class Namer:
    """A finished folder as a zero-shot classifier of species, by the caption "a photo of a SPECIES"."""

    def __init__(self, folder: Path, names: tuple[str, ...]):
        import open_clip

        self.names = names
        self.model, _, self.prepare = open_clip.create_model_and_transforms(f"local-dir:{folder}", precision="fp32")
        self.model.eval()
        tokens = open_clip.get_tokenizer(f"local-dir:{folder}")([plain_caption(spoken(name)) for name in names])
        with torch.no_grad():
            self.texts = self.model.encode_text(tokens, normalize=True)

    @torch.no_grad()
    def embed(self, images: list[Image.Image]) -> torch.Tensor:
        """Unit vectors [n, d] of RGB pictures."""
        batches = torch.stack([self.prepare(image) for image in images]).split(64)
        return torch.cat([self.model.encode_image(b, normalize=True) for b in batches])

    def name(self, images: list[Image.Image]) -> list[str]:
        """The species whose caption is nearest to each picture."""
        return [self.names[i] for i in (self.embed(images) @ self.texts.T).argmax(1).tolist()]


def opened(photos: Photos) -> list[Image.Image]:
    """The photographs as their files have them, in RGB."""
    return [Image.open(path).convert("RGB") for path in photos.paths]


def accuracy(namer: Namer, photos: Photos) -> float:
    """The share of photographs that are named right."""
    truth = [photos.names[i] for i in photos.species.tolist()]
    return round(sum(a == b for a, b in zip(namer.name(opened(photos)), truth, strict=True)) / len(truth), 4)


def precision(namer: Namer, photos: Photos) -> float:
    """Precision at 1: the share of captions "a photo of a SPECIES" whose nearest photograph shows the species."""
    nearest = (namer.texts @ namer.embed(opened(photos)).T).argmax(1).tolist()
    found = [photos.names[int(photos.species[i])] for i in nearest]
    return round(sum(a == b for a, b in zip(found, namer.names, strict=True)) / len(found), 4)
