"""PickScore: a CLIP model tuned on which of two pictures people picked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realism.base.cut_texts import token_counts
from realism.base.loading import load_model, load_without_weights
from realism.base.pixels import Preprocessing
from realism.plugins.models import find_model

from realism_rewards.preference import Preference, distinct, model_error, model_folders

if TYPE_CHECKING:
    import torch


@dataclass
class PickScore(Preference):
    """PickScore: how well people would like the picture for its prompt, as exp(logit scale) * cosine of picture and
    text; higher is better. About 16 to 24 with the published model, whose scale is near 100.

    Published: yuvalkirstain/PickScore_v1, prepared by the processor of laion/CLIP-ViT-H-14-laion2B-s32B-b79K; texts are
    cut after 77 tokens. Source: Kirstain et al. 2023, "Pick-a-Pic", section 4.
    The published weights could not be reached where this was written; the class of the model is transformers' own.
    """

    model: str = "yuvalkirstain/PickScore_v1"
    """The tuned CLIP: a model that a plugin ships, a folder as transformers saves it, or a hub id."""
    processor: str = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
    """Where its tokenizer and its preprocessing of images come from: likewise."""

    def inputs(self) -> list[Path]:
        return model_folders(self.model, self.processor)

    def options_error(self) -> str | None:
        return model_error(self.model, self.processor)

    def load(self, device: torch.device) -> TunedClip:
        """See `Preference.load`."""
        import torch
        from transformers import AutoProcessor, CLIPModel

        source, prepares = find_model(self.model), find_model(self.processor)
        processor = load_without_weights(AutoProcessor, prepares)
        model = load_model(CLIPModel, source, dtype=torch.float32)
        return TunedClip(model.to(device).eval().requires_grad_(False), processor)


class TunedClip:
    """A CLIP of transformers with its processor. See `PreferenceModel`."""

    def __init__(self, model: Any, processor: Any):
        images = processor.image_processor
        self.model, self.tokenizer, self.device = model, processor.tokenizer, model.device
        self.prepare = Preprocessing(
            images.crop_size["height"], tuple(images.image_mean), tuple(images.image_std), crop="floor"
        )

    @property
    def most(self) -> int:
        """How many tokens of a text are read."""
        return int(self.model.config.text_config.max_position_embeddings)

    def lengths(self, texts: Sequence[str]) -> tuple[int, list[int]]:
        return self.most, token_counts(self.tokenizer, texts)

    def values(self, inputs: torch.Tensor, texts: Sequence[str]) -> torch.Tensor:
        from torch.nn.functional import normalize

        different, places = distinct(texts)
        model = self.model
        tokens = self.tokenizer(different, padding=True, truncation=True, max_length=self.most, return_tensors="pt")
        asked = {name: tokens[name].to(self.device) for name in ("input_ids", "attention_mask")}
        # the pieces of the model, as what its get_text_features returns differs between versions of transformers
        words = model.text_projection(model.text_model(**asked).pooler_output)
        made = model.visual_projection(model.vision_model(pixel_values=inputs.to(self.device)).pooler_output)
        return model.logit_scale.exp() * (normalize(made, dim=-1) * normalize(words, dim=-1)[places]).sum(-1)
