"""Generators that draw by taking noise away, and the few functions on which training and steering them stand."""

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
    """A generator whose network takes noise away from latents (b, c, h, w).

    All of it runs on the pipeline that draws, with the adapter that is in it, on or off (`adapter_off`). Losses,
    guidance, inpainting and log-probabilities are functions of these; `sampling.sample` is one.
    """

    cached: ClassVar[tuple[str, ...]] = ("pipeline", "other_pipeline", "autoencoder", "schedule")

    @cached_property
    def schedule(self) -> Schedule:
        """The noise levels to train on and to draw with."""
        return self.make_schedule(self.pipeline)

    @abstractmethod
    def make_schedule(self, pipeline: Any) -> Schedule:
        """The noise levels by the settings of a pipeline's scheduler."""

    @property
    @abstractmethod
    def scaling(self) -> Scaling:
        """Shift and factor, numbers or tensors (1, c, 1, 1): latents = (code of the autoencoder - shift) * factor."""

    @property
    @abstractmethod
    def guidance_weight(self) -> float:
        """w of classifier-free guidance, negative + w * (positive - negative); up to 1 is none."""

    @abstractmethod
    def condition(self, texts: Sequence[str], references: Sequence[Image.Image] = ()) -> Tensors:
        """What the network is told, as when the pipeline draws: tensors of one row (b, ...) a text. references: one a
        text, or none. Raises RealismError where they do not enter the network this way."""

    @abstractmethod
    def negative(self, conditions: Tensors) -> Tensors:
        """Conditions of the negative prompt, and otherwise as those given."""

    @abstractmethod
    def predict(self, latents: torch.Tensor, time: torch.Tensor, conditions: Tensors) -> torch.Tensor:
        """The network's output (b, c, h, w) float32 for noisy latents, of the kind that `schedule` names.

        time: (b,) or (1,), as in `NoiseLevels`. There is a gradient to the latents and to an adapter that learns."""

    def encode(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Mean and standard deviation of the latents (b, c, h, w) of pixels (b, 3, H, W) in [0, 1], by the posterior of
        the autoencoder, in float32: the same for every draw from it."""
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
        """The squared error (b,) of what the network predicts of noised latents: pictures as `encode` gives them."""
        from realism_generators.levels import noised, target
        from realism_generators.tuning_losses import draw_latents, draw_normal, min_snr_weights, squared_error

        latents = draw_latents(pictures["mean"], pictures["std"], random)
        gaussian = draw_normal(latents, random)
        level = self.schedule.draw(len(latents), random)
        predicted = self.predict(noised(latents, gaussian, level), level.time, conditions)
        errors = squared_error(predicted, target(self.schedule.kind, latents, gaussian, level))
        return errors if min_snr is None else errors * min_snr_weights(self.schedule.kind, level, min_snr).to(errors)


def replace_conditions(conditions: Tensors, one: Mapping[str, torch.Tensor]) -> Tensors:
    """Conditions with those of one other text (1, ...) in the place of the same in each row."""
    return {**conditions, **{k: v.expand(len(conditions[k]), *v.shape[1:]) for k, v in one.items()}}
