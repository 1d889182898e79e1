"""When a denoising network is asked, and how noisy its input is then: in training, and in n steps of drawing."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch

from realism_generators.levels import NoiseLevels, rectified_flow, variance_preserving


class Schedule(ABC):
    """The noise levels of a network, by the settings of a pipeline's scheduler, which stays as it is."""

    def __init__(self, scheduler: Any):
        self._scheduler = type(scheduler).from_config(scheduler.config)

    @property
    @abstractmethod
    def kind(self) -> str:
        """What the network predicts, as `levels` names it."""

    @abstractmethod
    def draw(self, b: int, random: torch.Generator) -> NoiseLevels:
        """b levels to train on, drawn from a generator on the CPU."""

    @abstractmethod
    def scheduler(self, n: int, latents: torch.Tensor) -> Any:
        """A scheduler of diffusers, ready for n steps from noise of that shape (b, c, h, w), and on its device."""

    @abstractmethod
    def steps(self, n: int, latents: torch.Tensor) -> NoiseLevels:
        """The levels of n steps, from noise to what is clean: n + 1 for a scheduler that asks the network once a step,
        more for one that asks it more often (Heun, PNDM). The network is asked at all but the last."""


class DiffusionSchedule(Schedule):
    """Of a U-Net that predicts noise, velocity or sample, as its scheduler's configuration says."""

    @property
    def kind(self) -> str:
        return str(self._scheduler.config.prediction_type)

    def draw(self, b: int, random: torch.Generator) -> NoiseLevels:
        """Uniformly from those of the scheduler, as diffusers' training scripts do."""
        alphas_cumprod = self._scheduler.alphas_cumprod
        times = torch.randint(len(alphas_cumprod), (b,), generator=random)
        return variance_preserving(times, alphas_cumprod[times.to(alphas_cumprod.device)])

    def scheduler(self, n: int, latents: torch.Tensor) -> Any:
        made = copy.deepcopy(self._scheduler)
        made.set_timesteps(n, device=latents.device)
        return made

    def steps(self, n: int, latents: torch.Tensor) -> NoiseLevels:
        """In the scaling of training, also where the scheduler has another (sigmas above 1); times between two of
        training take what is kept of noise between theirs."""
        times = self.scheduler(n, latents).timesteps.float().cpu()
        alphas_cumprod = self._scheduler.alphas_cumprod.float()
        below = times.floor().long()
        between = torch.lerp(
            alphas_cumprod[below], alphas_cumprod[(below + 1).clamp(max=len(alphas_cumprod) - 1)], times - below
        )
        return variance_preserving(
            torch.cat([times, times.new_zeros(1)]), torch.cat([between, alphas_cumprod.new_ones(1)])
        )


class FlowSchedule(Schedule):
    """Of a transformer that predicts the velocity of flow matching."""

    def __init__(self, scheduler: Any, patch: int, evenly: bool):
        """patch: latents a side of a token, by whose number some schedules shift. evenly: whether drawing begins from
        sigmas 1, 1 - 1/n, ... 1/n, as FLUX.1 does, or from the scheduler's own."""
        super().__init__(scheduler)
        self._patch, self._evenly = patch, evenly

    @property
    def kind(self) -> str:
        return "flow"

    def draw(self, b: int, random: torch.Generator) -> NoiseLevels:
        """At u = sigmoid(normal) of the way from the scheduler's first (noise) to its last: the logit-normal of Esser
        et al. 2024 (SD3) section 3.1 with m = 0 and s = 1, as diffusers' scripts draw it."""
        sigmas = self._training_sigmas()
        u = torch.randn(b, generator=random).sigmoid()
        sigma = sigmas[(u * len(sigmas)).long().clamp(max=len(sigmas) - 1)]
        return rectified_flow(sigma * self._scheduler.config.num_train_timesteps, sigma)

    def _training_sigmas(self) -> torch.Tensor:
        """Those of all steps of training, from noise on. Schedulers that are made for diffusion and told to flow hold
        others until they are asked for steps."""
        config = self._scheduler.config
        if not config.get("use_flow_sigmas"):
            sigmas: torch.Tensor = self._scheduler.sigmas
            return sigmas
        even = torch.linspace(1, 1 / config.num_train_timesteps, config.num_train_timesteps)
        shift = config.get("flow_shift") or 1.0
        return shift * even / (1 + (shift - 1) * even)

    def scheduler(self, n: int, latents: torch.Tensor) -> Any:
        made = copy.deepcopy(self._scheduler)
        given = (
            {"sigmas": np.linspace(1.0, 1 / n, n)} if self._evenly and not made.config.get("use_flow_sigmas") else {}
        )
        shift = {"mu": self._shift(latents)} if made.config.get("use_dynamic_shifting") else {}
        made.set_timesteps(n, device=latents.device, **given, **shift)
        return made

    def steps(self, n: int, latents: torch.Tensor) -> NoiseLevels:
        sigmas = self.scheduler(n, latents).sigmas.cpu()
        return rectified_flow(sigmas * self._scheduler.config.num_train_timesteps, sigmas)

    def _shift(self, latents: torch.Tensor) -> float:
        """The logarithm of the shift for so many tokens, linear between the two that the configuration names."""
        config = self._scheduler.config
        tokens = (latents.shape[-2] // self._patch) * (latents.shape[-1] // self._patch)
        slope = (config.max_shift - config.base_shift) / (config.max_image_seq_len - config.base_image_seq_len)
        return float(config.base_shift + slope * (tokens - config.base_image_seq_len))
