"""The reader: a small network, trained only on renders, that reads what a picture of the garden shows."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from realism.base.duplicates import pixel_hash
from realism.base.loading import read_tensors
from torch import nn
from torch.nn import functional as F

from .scene import BACKGROUNDS, COMPANIONS, LAYOUTS, LIGHTS, Scene
from .species import COLOURS, FORMS, NAMES, PATTERNS

MODELS = Path(__file__).parent / "models"
KEPT = 2**12
"""Pictures of which is kept what they show."""
HEADS: dict[str, tuple] = {
    "species": NAMES,
    "count": (1, 2, 3),
    "background": BACKGROUNDS,
    "light": LIGHTS,
    "companion": COMPANIONS,
    "layout": LAYOUTS,
    "form": FORMS,
    "main": COLOURS,
    "pattern": PATTERNS,
}


def labels(scene: Scene) -> list[int]:
    """The class index of each head for a scene; -1 (not counted) for the species of an unnamed flower."""
    truth = {**vars(scene), "species": scene.species.name}
    truth |= {k: getattr(scene.species, k) for k in ("form", "main", "pattern")}
    return [names.index(truth[head]) if truth[head] in names else -1 for head, names in HEADS.items()]


class _Block(nn.Module):
    """A residual block that halves the picture."""

    def __init__(self, a: int, b: int):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
        self.mix = nn.Sequential(nn.Conv2d(b, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.down(x)
        return F.relu(x + self.mix(x))


class Reader(nn.Module):
    """Pictures [n, 3, 64, 64] in -1 to 1 to logits, one tensor [n, classes] a head."""

    def __init__(self, width: int = 32):
        super().__init__()
        w = width
        self.body = nn.Sequential(_Block(3, w), _Block(w, 2 * w), _Block(2 * w, 4 * w), _Block(4 * w, 4 * w))
        self.heads = nn.ModuleDict({h: nn.Linear(4 * w * 5, len(names)) for h, names in HEADS.items()})

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """What the heads see [n, 20 * width]: the mean over the whole picture and over each quarter of it."""
        x = self.body(x)
        return torch.cat([x.mean((2, 3)), F.adaptive_avg_pool2d(x, 2).flatten(1)], 1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.features(x)
        return {h: head(x) for h, head in self.heads.items()}

    @torch.no_grad()
    def read(self, images: list[Image.Image] | torch.Tensor) -> dict[str, list]:
        """What each picture shows, by head; and ``confidence``, the probability given to the species (0 to 1)."""
        x = images if torch.is_tensor(images) else to_tensor(images)
        logits = [self(b) for b in x.split(64)]
        out: dict[str, list] = {h: [HEADS[h][i] for b in logits for i in b[h].argmax(1).tolist()] for h in HEADS}
        out["confidence"] = [p for b in logits for p in b["species"].softmax(1).amax(1).tolist()]
        return out


class Rereader:
    """A reader that keeps what it saw in the last pictures, so that several rewards of one picture read it once."""

    def __init__(self, reader: Reader):
        self.reader = reader
        self._kept: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def seen(self, images: list[Image.Image]) -> list[dict[str, Any]]:
        """What the reader sees in each RGB picture, by head."""
        marks = [pixel_hash(image) for image in images]
        known = {mark: self._kept[mark] for mark in marks if mark in self._kept}
        if new := {mark: image for mark, image in zip(marks, images, strict=True) if mark not in known}:
            read = self.reader.read(list(new.values()))
            known |= {mark: {head: values[i] for head, values in read.items()} for i, mark in enumerate(new)}
        self._kept.update(known)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return [known[mark] for mark in marks]


def to_tensor(images: list[Image.Image]) -> torch.Tensor:
    """PIL pictures of any size to floats [n, 3, 64, 64] in -1 to 1."""
    small = [i.convert("RGB") for i in images]
    small = [i if i.size == (64, 64) else i.resize((64, 64), Image.Resampling.LANCZOS) for i in small]
    return torch.from_numpy(np.stack([np.asarray(i) for i in small])).permute(0, 3, 1, 2).float() / 127.5 - 1


def load_reader(folder: Path | str = MODELS / "judge") -> Reader:
    """The shipped reader, or another one from its folder, ready to read."""
    model = Reader()
    weights = read_tensors(Path(folder) / "reader.safetensors")
    model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in weights.items()})
    return model.eval()
