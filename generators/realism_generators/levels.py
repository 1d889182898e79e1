"""Noise levels, and what a denoising network predicts at one, as functions of tensors.

At a level, noisy = signal * clean + noise * gaussian. `kind` says what the network predicts there: epsilon (the
gaussian, Ho et al. 2020), v_prediction (signal * gaussian - noise * clean, Salimans and Ho 2022 section 4), sample
(clean) or flow (the velocity gaussian - clean, Lipman et al. 2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from realism.base.errors import RealismError


@dataclass(frozen=True)
class NoiseLevels:
    """Noise levels (n,), float32."""

    timesteps: torch.Tensor
    """The timestep that the network is conditioned on, from 0, clean latents, to most often 1000."""
    signal: torch.Tensor
    """The factor of the clean latents, in [0, 1]."""
    noise: torch.Tensor
    """The factor of the gaussian, in [0, 1]."""

    def __len__(self) -> int:
        return len(self.timesteps)

    def __getitem__(self, indices: int | torch.Tensor) -> NoiseLevels:
        """One level as tensors (1,), or the levels at indices (b,)."""
        at = torch.tensor([indices]) if isinstance(indices, int) else indices
        return NoiseLevels(*(each[at.to(each.device)] for each in (self.timesteps, self.signal, self.noise)))


def variance_preserving(timesteps: torch.Tensor, alphas_cumprod: torch.Tensor) -> NoiseLevels:
    """Levels of diffusion, by alphas_cumprod (n,) in [0, 1]: signal = sqrt(a), noise = sqrt(1 - a)."""
    return NoiseLevels(timesteps, alphas_cumprod.sqrt(), (1 - alphas_cumprod).sqrt())


def rectified_flow(timesteps: torch.Tensor, sigma: torch.Tensor) -> NoiseLevels:
    """Levels of flow matching, by sigma (n,) in [0, 1]: signal = 1 - sigma, noise = sigma."""
    return NoiseLevels(timesteps, 1 - sigma, sigma)


def factors(level: NoiseLevels, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Signal and noise of levels (b,) or (1,), shaped to be multiplied with tensors (b, ...), and on their device."""
    shape = (-1, *[1] * (like.ndim - 1))
    return level.signal.to(like.device).reshape(shape), level.noise.to(like.device).reshape(shape)


def noised(clean: torch.Tensor, gaussian: torch.Tensor, level: NoiseLevels) -> torch.Tensor:
    """signal * clean + noise * gaussian: (b, ...) twice -> (b, ...)."""
    signal, noise = factors(level, clean)
    return signal * clean + noise * gaussian


def target(kind: str, clean: torch.Tensor, gaussian: torch.Tensor, level: NoiseLevels) -> torch.Tensor:
    """What the network should predict, (b, ...), for clean latents and noise (b, ...). Raises RealismError for an
    unknown kind."""
    signal, noise = factors(level, clean)
    if kind == "epsilon":
        return gaussian
    if kind == "v_prediction":
        return signal * gaussian - noise * clean
    if kind == "sample":
        return clean
    if kind == "flow":
        return gaussian - clean
    raise unknown_prediction(kind)


def split(
    kind: str, noisy: torch.Tensor, predicted: torch.Tensor, level: NoiseLevels
) -> tuple[torch.Tensor, torch.Tensor]:
    """The clean latents and the gaussian, each (b, ...), by a prediction: `target` and `noised`, solved for both.

    Not defined where the signal is 0 and epsilon is predicted, nor where the noise is 0 and the sample is. Raises
    RealismError for an unknown kind."""
    signal, noise = factors(level, noisy)
    if kind == "epsilon":
        return (noisy - noise * predicted) / signal, predicted
    if kind == "v_prediction":
        return signal * noisy - noise * predicted, noise * noisy + signal * predicted
    if kind == "sample":
        return predicted, (noisy - signal * predicted) / noise
    if kind == "flow":
        return noisy - noise * predicted, noisy + signal * predicted
    raise unknown_prediction(kind)


def unknown_prediction(kind: str) -> RealismError:
    """The error for a kind of prediction that no function here knows."""
    return RealismError(
        f"prediction_type '{kind}' is not known; expected epsilon, v_prediction or sample in scheduler_config.json"
    )
