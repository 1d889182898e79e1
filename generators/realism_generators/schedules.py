"""The timesteps and noise levels at which a denoising network is evaluated: in training, and in n sampling steps."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch

from realism_generators.levels import NoiseLevels, rectified_flow, variance_preserving


class Schedule(ABC):
    """The noise levels of a network, by the configuration of a pipeline's scheduler, which is not changed."""

    def __init__(self, scheduler: Any):
        self._scheduler = type(scheduler).from_config(scheduler.config)

    @property
    @abstractmethod
    def kind(self) -> str:
        """What the network predicts: a kind of `levels`."""

    @abstractmethod
    def draw(self, b: int, random: torch.Generator) -> NoiseLevels:
        """Levels (b,) to train on, drawn from a generator on the CPU."""

    @abstractmethod
    def scheduler(self, n: int, latents: torch.Tensor) -> Any:
        """A scheduler of diffusers, set for n steps from latents of that shape (b, c, h, w), on their device."""

    @abstractmethod
    def steps(self, n: int, latents: torch.Tensor) -> NoiseLevels:
        """The levels of n steps, from noise to clean latents: n + 1 for a scheduler that evaluates the network once a
        step, more for one that evaluates it more often (Heun, PNDM). It is evaluated at all but the last."""


class DiffusionSchedule(Schedule):
    """Noise levels of a U-Net that predicts epsilon, v or the sample, as its scheduler's configuration says."""

    @property
    def kind(self) -> str:
        return str(self._scheduler.config.prediction_type)

    def draw(self, b: int, random: torch.Generator) -> NoiseLevels:
        """Uniformly from those of the scheduler, as diffusers' training scripts do."""
        alphas_cumprod = self._scheduler.alphas_cumprod
        timesteps = torch.randint(len(alphas_cumprod), (b,), generator=random)
        return variance_preserving(timesteps, alphas_cumprod[timesteps.to(alphas_cumprod.device)])

    def scheduler(self, n: int, latents: torch.Tensor) -> Any:
        scheduler = copy.deepcopy(self._scheduler)
        scheduler.set_timesteps(n, device=latents.device)
        return scheduler

    def steps(self, n: int, latents: torch.Tensor) -> NoiseLevels:
        """In the scaling of training, also where the scheduler has another (sigmas above 1). alphas_cumprod is
        interpolated linearly at timesteps between two of training."""
        timesteps = self.scheduler(n, latents).timesteps.float().cpu()
        alphas_cumprod = self._scheduler.alphas_cumprod.float()
        floor = timesteps.floor().long()
        interpolated = torch.lerp(
            alphas_cumprod[floor], alphas_cumprod[(floor + 1).clamp(max=len(alphas_cumprod) - 1)], timesteps - floor
        )
        return variance_preserving(
            torch.cat([timesteps, timesteps.new_zeros(1)]), torch.cat([interpolated, alphas_cumprod.new_ones(1)])
        )


class FlowSchedule(Schedule):
    """Noise levels of a transformer that predicts the velocity of flow matching."""

    def __init__(self, scheduler: Any, patch: int, evenly: bool):
        """patch: latents a side of a token, by whose number some schedules shift. evenly: whether sampling uses the
        sigmas 1, 1 - 1/n, ... 1/n, as FLUX.1 does, or from the scheduler's own."""
        super().__init__(scheduler)
        self._patch, self._evenly = patch, evenly

    @property
    def kind(self) -> str:
        return "flow"

    def draw(self, b: int, random: torch.Generator) -> NoiseLevels:
        """The sigma at a fraction u = sigmoid(normal) of the scheduler's, from the first (noise) to the last: the
        logit-normal of Esser et al. 2024 (SD3) section 3.1 with m = 0 and s = 1, as diffusers' scripts draw it."""
        sigmas = self._training_sigmas()
        u = torch.randn(b, generator=random).sigmoid()
        sigma = sigmas[(u * len(sigmas)).long().clamp(max=len(sigmas) - 1)]
        return rectified_flow(sigma * self._scheduler.config.num_train_timesteps, sigma)

    def _training_sigmas(self) -> torch.Tensor:
        """The sigmas of all timesteps of training, from noise on. Schedulers of diffusion with `use_flow_sigmas` have
        others before `set_timesteps`."""
        config = self._scheduler.config
        if not config.get("use_flow_sigmas"):
            sigmas: torch.Tensor = self._scheduler.sigmas
            return sigmas
        even = torch.linspace(1, 1 / config.num_train_timesteps, config.num_train_timesteps)
        shift = config.get("flow_shift") or 1.0
        return shift * even / (1 + (shift - 1) * even)

    def scheduler(self, n: int, latents: torch.Tensor) -> Any:
        scheduler = copy.deepcopy(self._scheduler)
        options: dict[str, Any] = {}
        if self._evenly and not scheduler.config.get("use_flow_sigmas"):
            options["sigmas"] = np.linspace(1.0, 1 / n, n)
        if scheduler.config.get("use_dynamic_shifting"):
            options["mu"] = self._shift(latents)
        scheduler.set_timesteps(n, device=latents.device, **options)
        return scheduler

    def steps(self, n: int, latents: torch.Tensor) -> NoiseLevels:
        sigmas = self.scheduler(n, latents).sigmas.cpu()
        return rectified_flow(sigmas * self._scheduler.config.num_train_timesteps, sigmas)

    def _shift(self, latents: torch.Tensor) -> float:
        """The logarithm of the shift for that number of tokens, linear between the two of the configuration."""
        config = self._scheduler.config
        tokens = (latents.shape[-2] // self._patch) * (latents.shape[-1] // self._patch)
        slope = (config.max_shift - config.base_shift) / (config.max_image_seq_len - config.base_image_seq_len)
        return float(config.base_shift + slope * (tokens - config.base_image_seq_len))
