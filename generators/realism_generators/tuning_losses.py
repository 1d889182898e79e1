"""Training losses of generators, as functions of tensors. b samples; every loss is (b,) float32."""

from __future__ import annotations

import torch
from torch.nn import functional

from realism_generators.levels import NoiseLevels, unknown_prediction


def draw_normal(like: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Gaussian noise of the shape, dtype and device of a tensor, from a generator on the CPU."""
    return torch.randn(like.shape, generator=random).to(like.device, like.dtype)


def squared_error(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The mean squared error of each sample: (b, ...) twice -> (b,)."""
    return (predicted.float() - target.float()).square().flatten(1).mean(1)


def min_snr_weights(kind: str, level: NoiseLevels, gamma: float) -> torch.Tensor:
    """The min-SNR-gamma weight (b,) float32 of each sample's squared error at levels (b,): Hang et al. 2023, arXiv
    2303.09556, section 3.

    SNR is (signal / noise)^2. The squared error of the clean latents has weight min(SNR, gamma), which is
    min(SNR, gamma) / SNR for epsilon, in [0, 1], and min(SNR, gamma) / (SNR + 1) for v_prediction. Where the signal is
    0, the weight of epsilon is its limit, 1. gamma: above 0. Raises RealismError for any other kind of prediction.
    """
    snr = (level.signal / level.noise).square().float()
    if kind == "epsilon":
        return (gamma / snr).clamp(max=1)
    if kind == "v_prediction":
        return torch.minimum(1 / (1 + 1 / snr), gamma / (snr + 1))
    if kind == "sample":
        return snr.clamp(max=gamma)
    raise unknown_prediction(kind)


def draw_latents(mean: torch.Tensor, std: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Latents from an autoencoder's posterior, mean + std * noise: (b, ...) twice -> (b, ...)."""
    return mean + std * draw_normal(mean, random)


def draw_masks(tokens: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Which of the tokens (b, n) are masked: round(n cos(pi t / 2)) of each sample, at least one, t uniform in [0, 1).

    The cosine schedule of MaskGIT (Chang et al. 2022) and Muse (Chang et al. 2023), as aMUSEd was trained."""
    b, n = tokens.shape
    count = (n * torch.cos(torch.rand(b, generator=random) * torch.pi / 2)).round().clamp(min=1)
    rank = torch.rand(b, n, generator=random).argsort(-1)
    return (rank < count[:, None]).to(tokens.device)


def masked_cross_entropy(logits: torch.Tensor, tokens: torch.Tensor, masked: torch.Tensor) -> torch.Tensor:
    """The mean of -log p(token) over each sample's masked tokens: logits (b, c, n), tokens and masked (b, n)."""
    each = functional.cross_entropy(logits.float(), tokens, reduction="none")
    return (each * masked).sum(1) / masked.sum(1)
