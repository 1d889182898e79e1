"""What the suites work on: pictures, prompts, vectors, all from seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from realism.data.types import Prompt

if TYPE_CHECKING:
    import torch

TEXTS = ("a photo of a red rose", "two blue daisies", "a bee on a yellow flower", "sand")


def picture(seed: int, size: tuple[int, int] = (64, 64)) -> Image.Image:
    """A smooth random RGB picture of (width, height)."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def pictures() -> list[Image.Image]:
    """Four pictures, of different sizes and proportions."""
    return [picture(i, size) for i, size in enumerate([(64, 64), (48, 80), (120, 30), (33, 47)])]


def pixels() -> torch.Tensor:
    """Two pictures of one size as pixels (2, 3, 64, 64) in [0, 1], that take a gradient."""
    import torch

    stacked = np.stack([np.asarray(picture(i)) for i in range(2)])
    return (torch.from_numpy(stacked).permute(0, 3, 1, 2).float() / 255).requires_grad_()


def prompts() -> list[Prompt]:
    """Four prompts, each with a subject."""
    return [Prompt(f"p{i}", text, subject=f"subject {i}") for i, text in enumerate(TEXTS)]


def unit_rows(n: int, d: int, seed: int = 0) -> np.ndarray:
    """(n, d) float32, each row of length 1."""
    rows = np.random.default_rng(seed).normal(size=(n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
