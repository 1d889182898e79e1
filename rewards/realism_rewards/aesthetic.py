"""LAION's aesthetic predictor: a small head on the rows of a CLIP image encoder."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from realism.base.errors import RealismError
from realism.data.types import Picture, Prompt
from realism.parts import DifferentiableReward, PixelEncoder, Scores

if TYPE_CHECKING:
    import torch

HEAD = "head.safetensors"
LAYER = re.compile(r"(?:.*\.)?(\d+)\.weight")


@dataclass
class Aesthetic(DifferentiableReward):
    """Aesthetic score: how beautiful a model finds the picture, whatever its prompt; higher is more beautiful. About 1
    to 10 with LAION's head, most pictures 4 to 7.

    value = W5 (W4 (W3 (W2 (W1 x + b1) + b2) + b3) + b4) + b5, where x is the image's row of length 1; between the
    layers there is no activation, so that the value is affine in x, and has no bounds of its own.
    Source: LAION, "improved-aesthetic-predictor", sac+logos+ava1-l14-linearMSE: 768-1024-128-64-16-1 on OpenAI's
    ViT-L/14, trained on ratings of SAC, LAION-Logos and AVA.
    The published weights could not be reached where this was written: names and sizes of layers are those of its code.
    """

    encoder: PixelEncoder
    """The encoder that the head was trained on. For LAION's: {use: openclip, model: ViT-L-14-quickgelu/openai}."""
    head: str = "trl-lib/ddpo-aesthetic-predictor/aesthetic-model.pth"
    """The weights of the head, of any number of layers and any sizes: a file, a folder or a shipped model with
    head.safetensors in it, or 'owner/name/file' of the hub."""

    def inputs(self) -> list[Path]:
        from realism_rewards.weights import local_weights

        path = None if self.options_error() else local_weights(self.head, HEAD)
        return [path] if path else []

    def options_error(self) -> str | None:
        from realism_rewards.weights import weights_error

        return weights_error(self.head, HEAD)

    def score(self, pictures: Sequence[Picture]) -> Scores:
        import torch

        if not pictures:
            return Scores(torch.empty(0))
        return Scores(self._values(torch.from_numpy(self.encoder.encode_images([p.image for p in pictures]))))

    def score_pixels(self, pixels: torch.Tensor, prompts: Sequence[Prompt]) -> torch.Tensor:
        return self._values(self.encoder.encode_pixels(pixels))

    def release(self) -> None:
        self.__dict__.pop("_layers", None)

    @cached_property
    def _layers(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        from realism_rewards.weights import read_weights

        return linear_layers(read_weights(self.head, HEAD), self.head)

    def _values(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows (n, d) -> (n,)."""
        if rows.shape[1] != (takes := self._layers[0][0].shape[1]):
            raise RealismError(
                f"head '{self.head}' takes rows of {takes} numbers, but the encoder gives {rows.shape[1]}; use the "
                "encoder that the head was trained on"
            )
        return apply_layers(self._layers, rows)


def linear_layers(weights: Mapping[str, torch.Tensor], name: str) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The linear layers of a head, first to last, as (out, in) weights and (out,) biases, in float32.

    weights: by names such as layers.0.weight, layers.0.bias, layers.2.weight, ...; numbers left out are dropout.
    Raises RealismError, naming the head, if they do not make one number of a row."""
    numbered = sorted((int(found[1]), key) for key in weights if (found := LAYER.fullmatch(key)))
    missing = [bias for _, key in numbered if (bias := f"{key.removesuffix('weight')}bias") not in weights]
    layers = [
        (weights[key].float(), weights[f"{key.removesuffix('weight')}bias"].float())
        for _, key in numbered
        if not missing
    ]
    widths = [weight.shape[1] for weight, _ in layers[1:]] + [1]
    if not layers or any(weight.shape[0] != width for (weight, _), width in zip(layers, widths, strict=True)):
        raise RealismError(
            f"head '{name}' is none of linear layers that end in one number; expected weights named layers.0.weight, "
            "layers.0.bias, and so on"
        )
    return layers


def apply_layers(layers: Sequence[tuple[torch.Tensor, torch.Tensor]], rows: torch.Tensor) -> torch.Tensor:
    """Linear layers without activations on rows (n, d) -> (n,)."""
    for weight, bias in layers:
        rows = rows @ weight.to(rows.device).T + bias.to(rows.device)
    return rows[:, 0]
