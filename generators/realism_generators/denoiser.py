"""Generators that denoise latents, and the functions of them that training and guidance use."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from realism_generators.tuning import LoRATunable, Tensors

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from realism_generators.schedules import Schedule

Scaling = tuple[Any, Any]


@dataclass
class Denoiser(LoRATunable):
    """A generator whose network denoises latents (b, c, h, w).

    Everything runs on the pipeline that draws, with its adapter on or off (`adapter_off`). Losses, guidance,
    inpainting and log-probabilities are functions of these methods, as `sampling.sample` is.
    """

    cached: ClassVar[tuple[str, ...]] = ("pipeline", "other_pipeline", "autoencoder", "schedule")

    @cached_property
    def schedule(self) -> Schedule:
        """The noise levels of training and of sampling."""
        return self.make_schedule(self.pipeline)

    @abstractmethod
    def make_schedule(self, pipeline: Any) -> Schedule:
        """The noise levels by the configuration of a pipeline's scheduler."""

    @property
    @abstractmethod
    def scaling(self) -> Scaling:
        """Shift and factor, numbers or tensors (1, c, 1, 1): latents = (output of the autoencoder's encoder - shift) *
        factor."""

    @property
    @abstractmethod
    def guidance_weight(self) -> float:
        """w of classifier-free guidance, negative + w * (positive - negative); up to 1 is none."""

    @abstractmethod
    def condition(self, texts: Sequence[str], references: Sequence[Image.Image] = ()) -> Tensors:
        """The conditioning of texts, as when the pipeline draws: tensors (b, ...) with a row for each text. references:
        one for each text, or none. Raises RealismError where references are no part of the conditioning."""

    @abstractmethod
    def negative(self, conditions: Tensors) -> Tensors:
        """The conditions (b, ...) with those of the negative prompt in place of the texts'."""

    @abstractmethod
    def predict(self, latents: torch.Tensor, timesteps: torch.Tensor, conditions: Tensors) -> torch.Tensor:
        """The network's output (b, c, h, w) float32 for noisy latents, of the kind that `schedule` names.

        timesteps: (b,) or (1,), as in `NoiseLevels`. There is a gradient to the latents and to an adapter in
        training."""

    def encode(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Mean and standard deviation of the latents (b, c, h, w) float32 of pixels (b, 3, H, W) in [0, 1]: the
        posterior of the autoencoder."""
        import torch

        shift, factor = self.scaling
        with torch.no_grad():
            posterior = self.autoencoder.encode(2 * pixels.float().to(self.autoencoder.device) - 1).latent_dist
            return {"mean": (posterior.mean - shift) * factor, "std": posterior.std * factor}

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Pixels (b, 3, H, W) float32 in [0, 1] of latents, with a gradient to them unless gradients are off."""
        shift, factor = self.scaling
        decoded: torch.Tensor = self.autoencoder.decode(
            latents.float().to(self.autoencoder.device) / factor + shift
        ).sample
        return (decoded / 2 + 0.5).clamp(0, 1)

    def losses(
        self, pictures: Tensors, conditions: Tensors, random: torch.Generator, min_snr: float | None = None
    ) -> torch.Tensor:
        """The squared error (b,) float32 of the network's prediction at noised latents; pictures as from `encode`."""
        from realism_generators.levels import noised, target
        from realism_generators.tuning_losses import draw_latents, draw_normal, min_snr_weights, squared_error

        latents = draw_latents(pictures["mean"], pictures["std"], random)
        gaussian = draw_normal(latents, random)
        level = self.schedule.draw(len(latents), random)
        predicted = self.predict(noised(latents, gaussian, level), level.timesteps, conditions)
        errors = squared_error(predicted, target(self.schedule.kind, latents, gaussian, level))
        return errors if min_snr is None else errors * min_snr_weights(self.schedule.kind, level, min_snr).to(errors)


def replace_conditions(conditions: Tensors, one: Mapping[str, torch.Tensor]) -> Tensors:
    """Conditions (b, ...), where those in `one` (1, ...) replace the rows of the same name."""
    return {**conditions, **{k: v.expand(len(conditions[k]), *v.shape[1:]) for k, v in one.items()}}
