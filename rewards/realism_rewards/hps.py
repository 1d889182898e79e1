"""HPSv2: an OpenCLIP model tuned on people's rankings of generated pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from realism.base.errors import RealismError
from realism.base.openclip import build_openclip
from realism.base.pixels import Preprocessing
from realism.base.pretrained import read_json
from realism.plugins.models import find_model

from realism_rewards.preference import CLIP_MEAN, CLIP_STD, Preference, distinct, load_weights_into
from realism_rewards.weights import local_weights, read_weights, weights_error

if TYPE_CHECKING:
    import torch

WEIGHTS = "HPS_v2.1_compressed.pt"
PUBLISHED = f"xswu/HPSv2/{WEIGHTS}"


@dataclass
class HpsV2(Preference):
    """HPSv2: how well people would like the picture for its prompt, as the cosine of picture and text, in [-1, 1];
    higher is better. About 0.2 to 0.35 with the published model; its authors print it times 100.

    Published: version 2.1, ViT-H-14 of OpenCLIP. Pictures are not cropped: the longest side becomes 224, between black
    bars. They are resized in float by torch, antialiased, not by Pillow: so does the package hpsv2 with torchvision
    0.17 or later (before, it did not antialias), and `score` and `score_pixels` agree to rounding.
    Source: Wu et al. 2023, "Human Preference Score v2", section 4, and its code.
    The published weights could not be reached where this was written; names of weights are those of OpenCLIP.
    """

    range: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    weights: str = PUBLISHED
    """The weights: a file, a folder with HPS_v2.1_compressed.pt in it, or 'owner/name/file' of the hub."""
    architecture: str = "ViT-H-14"
    """What they are the weights of: a name of OpenCLIP, or a folder with open_clip_config.json."""

    def inputs(self) -> list[Path]:
        path = None if self.options_error() else local_weights(self.weights, WEIGHTS)
        return [path] if path else []

    def options_error(self) -> str | None:
        if self.weights == PUBLISHED and self.architecture.endswith("-quickgelu"):
            return f"architecture: {WEIGHTS} was trained with GELU, not with QuickGELU; use 'ViT-H-14'"
        return weights_error(self.weights, WEIGHTS)

    def load(self, device: torch.device) -> RankedClip:
        """See `Preference.load`. The file holds the weights under "state_dict", and is read with weights_only=True."""
        import open_clip

        config = open_clip.get_model_config(self.architecture)
        if config is None:
            folder = find_model(self.architecture)
            config = read_json(folder / "open_clip_config.json").get("model_cfg") if isinstance(folder, Path) else None
        if not isinstance(config, dict):
            raise RealismError(
                f"no architecture '{self.architecture}'; expected a name of OpenCLIP such as ViT-H-14, or a folder "
                "with open_clip_config.json"
            )
        built = build_openclip(config, self.architecture)
        model = load_weights_into(built, read_weights(self.weights, WEIGHTS), self.weights)
        return RankedClip(model.float().to(device), device)


class RankedClip:
    """An OpenCLIP model with CLIP's own tokenizer. See `PreferenceModel`."""

    def __init__(self, model: Any, device: torch.device):
        from open_clip.tokenizer import SimpleTokenizer

        side = model.visual.image_size
        self.model, self.device = model, device
        self.tokenizer = SimpleTokenizer(context_length=model.context_length)
        side = side[0] if isinstance(side, (list, tuple)) else side
        self.prepare = Preprocessing(side, CLIP_MEAN, CLIP_STD, resize="longest", eight_bits=False)

    def lengths(self, texts: Sequence[str]) -> tuple[int, list[int]]:
        return self.model.context_length, [len(self.tokenizer.encode(text)) + 2 for text in texts]  # a start, an end

    def values(self, inputs: torch.Tensor, texts: Sequence[str]) -> torch.Tensor:
        different, places = distinct(texts)
        words = self.model.encode_text(self.tokenizer(different).to(self.device), normalize=True)
        made = self.model.encode_image(inputs.to(self.device), normalize=True)
        return (made * words[places]).sum(-1).clamp(-1, 1)
