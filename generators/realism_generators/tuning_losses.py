"""Training losses of generators, as functions of tensors. b samples; every loss is (b,) float32."""

from __future__ import annotations

import torch
from torch.nn import functional


def draw_normal(like: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Gaussian noise of the shape and place of a tensor, from a generator on the CPU."""
    return torch.randn(like.shape, generator=random).to(like.device, like.dtype)


def squared_error(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The mean squared error of each sample: (b, ...) twice -> (b,)."""
    return (predicted.float() - target.float()).square().flatten(1).mean(1)


def draw_latents(mean: torch.Tensor, std: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Latents from an autoencoder's posterior, mean + std * noise: (b, ...) twice -> (b, ...)."""
    return mean + std * draw_normal(mean, random)


def draw_masks(tokens: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Which of the tokens (b, n) are hidden: round(n cos(pi t / 2)) of each sample, at least one, t uniform in [0, 1).

    The cosine schedule of MaskGIT (Chang et al. 2022) and Muse (Chang et al. 2023), as aMUSEd was trained."""
    b, n = tokens.shape
    count = (n * torch.cos(torch.rand(b, generator=random) * torch.pi / 2)).round().clamp(min=1)
    rank = torch.rand(b, n, generator=random).argsort(-1)
    return (rank < count[:, None]).to(tokens.device)


def masked_cross_entropy(logits: torch.Tensor, tokens: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """The mean of -log p(token) over each sample's hidden tokens: logits (b, c, n), tokens and hidden (b, n)."""
    each = functional.cross_entropy(logits.float(), tokens, reduction="none")
    return (each * hidden).sum(1) / hidden.sum(1)
