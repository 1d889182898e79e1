"""Training losses of generators, as functions of tensors. b samples; every loss is (b,) float32."""

from __future__ import annotations

import torch
from realism.base.errors import RealismError
from torch.nn import functional


def draw_normal(like: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Gaussian noise of the shape and place of a tensor, from a generator on the CPU."""
    return torch.randn(like.shape, generator=random).to(like.device, like.dtype)


def squared_error(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The mean squared error of each sample: (b, ...) twice -> (b,)."""
    return (predicted.float() - target.float()).square().flatten(1).mean(1)


def diffused(clean: torch.Tensor, noise: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """sqrt(kept) clean + sqrt(1 - kept) noise, kept (b,) the scheduler's alphas_cumprod. Ho et al. 2020 eq. 4."""
    signal, rest = _factors(kept, clean)
    return signal * clean + rest * noise


def diffusion_target(kind: str, clean: torch.Tensor, noise: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """What a U-Net predicts: the noise (epsilon), sqrt(kept) noise - sqrt(1 - kept) clean (v_prediction, Salimans and
    Ho 2022 section 4) or the clean latents (sample). Raises RealismError for another kind."""
    signal, rest = _factors(kept, clean)
    if kind == "epsilon":
        return noise
    if kind == "v_prediction":
        return signal * noise - rest * clean
    if kind == "sample":
        return clean
    raise RealismError(
        f"prediction_type '{kind}' is not known; expected epsilon, v_prediction or sample in scheduler_config.json"
    )


def _factors(kept: torch.Tensor, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    kept = kept.to(like.device, torch.float32).reshape(-1, *[1] * (like.ndim - 1))
    return kept.sqrt(), (1 - kept).sqrt()


def flowing(clean: torch.Tensor, noise: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """(1 - sigma) clean + sigma noise, sigma (b,) in [0, 1]; its velocity, what a flow-matching model predicts, is
    noise - clean. Lipman et al. 2023."""
    sigma = sigma.to(clean).reshape(-1, *[1] * (clean.ndim - 1))
    return (1 - sigma) * clean + sigma * noise


def draw_sigmas(sigmas: torch.Tensor, b: int, random: torch.Generator) -> torch.Tensor:
    """b of a scheduler's training sigmas, its first (noise) to its last, at u = sigmoid(normal) of the way: the
    logit-normal of Esser et al. 2024 (SD3) section 3.1 with m = 0 and s = 1, as diffusers' scripts draw it."""
    u = torch.randn(b, generator=random).sigmoid()
    return sigmas[(u * len(sigmas)).long().clamp(max=len(sigmas) - 1)]


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
