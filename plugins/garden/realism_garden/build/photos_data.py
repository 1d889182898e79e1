"""Photographs for the builds: read once from a folder with a sub-folder a species, then seen in ever new views."""

from __future__ import annotations

import math
import random
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from realism.sources.image_folder import ImageFolder
from torch.nn import functional as F

from ..captions import article

SIDE = 128  # pixels of a photograph in memory: twice what the generator draws


@dataclass
class Photos:
    """Photographs in memory: uint8 pictures [n, 3, 128, 128], and of each its file and the index of its species."""

    names: tuple[str, ...]
    images: torch.Tensor
    species: torch.Tensor
    paths: list[Path]

    def of(self, index: int) -> list[int]:
        """The places of one species' photographs."""
        return (self.species == index).nonzero().flatten().tolist()


def read_photos(folder: Path, share: tuple[float, float] = (0.0, 1.0), only: Collection[str] | None = None) -> Photos:
    """Photographs of a class folder, squashed to a square; ``share`` is that of `image_folder`, ``only`` names species.

    Species are numbered in the order of their names.
    """
    records = [r for r in ImageFolder(str(folder), share=share).records() if only is None or r.subject in only]
    names = tuple(sorted({r.subject for r in records}))
    images = torch.empty(len(records), SIDE, SIDE, 3, dtype=torch.uint8)
    for i, record in enumerate(records):
        with Image.open(record.path) as image:
            small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        images[i] = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).view(SIDE, SIDE, 3)
    species = torch.tensor([names.index(r.subject) for r in records])
    return Photos(names, images.permute(0, 3, 1, 2).contiguous(), species, [r.path for r in records])


def spoken(name: str) -> str:
    """A folder's name as words: "lily-valley" is "lily valley"."""
    return name.replace("-", " ").replace("_", " ").lower()


def say(name: str, rng: random.Random) -> str:
    """A short caption of a species, in varied wording; now and then its name as the folder spells it."""
    word = name.lower() if rng.random() < 0.3 else spoken(name)
    opening = rng.choice(("a photo of ", "a photo of ", "A photo of ", "a picture of ", ""))
    return opening + rng.choice((article(word), article(word), article(f"{word} flower")))


def plain(images: torch.Tensor, size: int) -> torch.Tensor:
    """uint8 photographs to floats in -1 to 1, whole, at ``size`` pixels."""
    x = images.float() / 127.5 - 1
    return F.interpolate(x, size=(size, size), mode="bicubic", antialias=True).clamp(-1, 1)


def views(images: torch.Tensor, size: int, smallest: float = 0.75, whole: float = 0.3) -> torch.Tensor:
    """Random square cuts of uint8 photographs, half of them mirrored: floats in -1 to 1 [n, 3, size, size].

    A cut's side is ``smallest`` to 1 of the photograph's; a share ``whole`` is not cut.
    """
    n = len(images)
    side = smallest + (1 - smallest) * torch.rand(n)
    side[torch.rand(n) < whole] = 1.0
    place = (1 - side)[:, None] * (2 * torch.rand(n, 2) - 1)
    flip = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = side * flip, side, place
    # Sampled at twice the size and averaged, so that fine petals do not alias.
    grid = F.affine_grid(theta, [n, 3, 2 * size, 2 * size], align_corners=False)
    x = F.grid_sample(images.float() / 127.5 - 1, grid, align_corners=False, padding_mode="reflection")
    return F.avg_pool2d(x, 2)


def colours(n: int, hue: float, saturation: float = 0.25, light: float = 0.15) -> tuple[torch.Tensor, torch.Tensor]:
    """n random changes of colour: matrices [n, 3, 3] and offsets [n, 3, 1].

    Hues turn about the grey axis by up to ``hue`` radians; saturation and contrast change by the shares given.
    """
    angle = hue * (2 * torch.rand(n) - 1)
    c, s = angle.cos()[:, None, None], angle.sin()[:, None, None]
    grey = torch.full((3, 3), 1 / 3)
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    turn = grey + c * (torch.eye(3) - grey) + s * cross
    strength = 1 + saturation * (2 * torch.rand(n, 1, 1) - 1)
    contrast = 1 + light * (2 * torch.rand(n, 1, 1) - 1)
    return contrast * (strength * turn + (1 - strength) * grey), light * (2 * torch.rand(n, 1, 1) - 1).expand(n, 3, 1)


def recoloured(x: torch.Tensor, change: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Pictures in -1 to 1 [n, 3, h, w] under changes of colour: one for each picture, or one for all."""
    matrix, offset = change
    return (matrix @ x.flatten(2) + offset).view_as(x).clamp(-1, 1)
