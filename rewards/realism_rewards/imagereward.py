"""ImageReward: BLIP reads the prompt while it looks at the picture; a small head turns that into a number."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realism.base.cut_texts import token_counts
from realism.base.errors import RealismError
from realism.base.loading import load_without_weights
from realism.base.pixels import Preprocessing
from realism.plugins.models import find_model

from realism_rewards.aesthetic import apply_layers, linear_layers
from realism_rewards.preference import (
    CLIP_MEAN,
    CLIP_STD,
    Preference,
    load_weights_into,
    model_error,
    model_folders,
)
from realism_rewards.weights import local_weights, read_weights, weights_error

if TYPE_CHECKING:
    import torch

WEIGHTS = "ImageReward.pt"
MEAN, STD = 0.16717362830052426, 1.0333394966054072
TOKENS = 35
HEAD_WIDTH = 64
"""Numbers in a head of attention, in all published sizes of BLIP's two towers."""

VISION = (
    (r"blip\.visual_encoder\.cls_token", "embeddings.class_embedding"),
    (r"blip\.visual_encoder\.pos_embed", "embeddings.position_embedding"),
    (r"blip\.visual_encoder\.patch_embed\.proj\.", "embeddings.patch_embedding."),
    (r"blip\.visual_encoder\.norm\.", "post_layernorm."),
    (r"blip\.visual_encoder\.blocks\.(\d+)\.norm([12])\.", r"encoder.layers.\1.layer_norm\2."),
    (r"blip\.visual_encoder\.blocks\.(\d+)\.attn\.qkv\.", r"encoder.layers.\1.self_attn.qkv."),
    (r"blip\.visual_encoder\.blocks\.(\d+)\.attn\.proj\.", r"encoder.layers.\1.self_attn.projection."),
    (r"blip\.visual_encoder\.blocks\.(\d+)\.mlp\.", r"encoder.layers.\1.mlp."),
)
"""Names of the vision tower in the published file, and in transformers."""
TEXT = ((r"blip\.text_encoder\.(?!embeddings\.position_ids)", ""),)
"""Names of the text tower likewise; positions are counted, not learned."""


@dataclass
class ImageReward(Preference):
    """ImageReward: how well people would like the picture for its prompt; higher is better. Unbounded, about -2 to 2,
    with mean 0 and deviation 1 over its authors' data.

    value = (mlp(h) - 0.16717) / 1.03334, where h is the last state of the first token of the prompt, of which 35 tokens
    are read, with cross-attention to the picture, 224 x 224; the head has no activations. Pictures are resized by
    Pillow. Source: Xu et al. 2023, "ImageReward", section 3, and its code.
    The published file could not be reached where this was written. Its names and values were checked on small random
    weights against the package image-reward 1.5: equal to 1e-7.
    """

    weights: str = f"THUDM/ImageReward/{WEIGHTS}"
    """The weights: a file, a folder with ImageReward.pt in it, or 'owner/name/file' of the hub."""
    tokenizer: str = "google-bert/bert-base-uncased"
    """The tokenizer of its text tower: a folder or a hub id."""

    def inputs(self) -> list[Path]:
        path = None if self.options_error() else local_weights(self.weights, WEIGHTS)
        return [*([path] if path else []), *model_folders(self.tokenizer)]

    def options_error(self) -> str | None:
        return weights_error(self.weights, WEIGHTS) or model_error(self.tokenizer)

    def load(self, device: torch.device) -> BlipModel:
        """See `Preference.load`. The file is read with weights_only=True."""
        from transformers import AutoTokenizer

        tokenizer = load_without_weights(AutoTokenizer, find_model(self.tokenizer))
        weights = read_weights(self.weights, WEIGHTS)
        vision, text = blip_towers(weights, self.weights)
        layers = linear_layers({k: v for k, v in weights.items() if k.startswith("mlp.")}, self.weights)
        return BlipModel(vision.to(device), text.to(device), layers, tokenizer)


class BlipModel:
    """BLIP's two towers with the head. See `PreferenceModel`."""

    def __init__(self, vision: Any, text: Any, layers: list[tuple[torch.Tensor, torch.Tensor]], tokenizer: Any):
        self.vision, self.text, self.layers, self.tokenizer = vision, text, layers, tokenizer
        self.device = vision.device
        self.prepare = Preprocessing(vision.config.image_size, CLIP_MEAN, CLIP_STD)

    def lengths(self, texts: Sequence[str]) -> tuple[int, list[int]]:
        return TOKENS, token_counts(self.tokenizer, texts)

    def values(self, inputs: torch.Tensor, texts: Sequence[str]) -> torch.Tensor:
        tokens = self.tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt"
        ).to(self.device)
        seen = self.vision(pixel_values=inputs.to(self.device)).last_hidden_state
        read = self.text(
            input_ids=tokens.input_ids, attention_mask=tokens.attention_mask, encoder_hidden_states=seen
        ).last_hidden_state
        return (apply_layers(self.layers, read[:, 0]) - MEAN) / STD


def blip_towers(weights: Mapping[str, torch.Tensor], name: str) -> tuple[Any, Any]:
    """The vision and the text tower of BLIP, as transformers has them, with the weights of an ImageReward file, whose
    sizes they imply. Raises RealismError, naming the file, if they are no such weights."""
    from transformers import BlipTextConfig, BlipTextModel, BlipVisionConfig, BlipVisionModel

    vision, text = _renamed(weights, VISION), _renamed(weights, TEXT)
    try:
        width, _, patch, _ = vision["embeddings.patch_embedding.weight"].shape
        side = round((vision["embeddings.position_embedding"].shape[1] - 1) ** 0.5) * patch
        words, reads = text["embeddings.word_embeddings.weight"].shape
        places = text["embeddings.position_embeddings.weight"].shape[0]
        inner = {
            "vision": vision["encoder.layers.0.mlp.fc1.weight"],
            "text": text["encoder.layer.0.intermediate.dense.weight"],
        }
    except KeyError as error:
        raise RealismError(
            f"weights '{name}' are not those of ImageReward: what should be {error.args[0]} of BLIP is not there"
        ) from error
    seeing = BlipVisionConfig(
        hidden_size=width, intermediate_size=inner["vision"].shape[0], num_hidden_layers=_depth(vision),
        num_attention_heads=width // HEAD_WIDTH, image_size=side, patch_size=patch,
        layer_norm_eps=1e-6,  # as BLIP was trained; transformers' own default differs
    )  # fmt: skip
    reading = BlipTextConfig(
        vocab_size=words, hidden_size=reads, encoder_hidden_size=width, intermediate_size=inner["text"].shape[0],
        num_hidden_layers=_depth(text), num_attention_heads=reads // HEAD_WIDTH, max_position_embeddings=places,
    )  # fmt: skip
    return (
        load_weights_into(BlipVisionModel(seeing), vision, name).float(),
        load_weights_into(BlipTextModel(reading, add_pooling_layer=False), text, name).float(),
    )


def _renamed(weights: Mapping[str, torch.Tensor], names: Sequence[tuple[str, str]]) -> dict[str, torch.Tensor]:
    """The weights whose names begin as one of these does, under their new names."""
    renamed_weights = {}
    for key, value in weights.items():
        for old, new in names:
            renamed, found = re.subn(rf"^{old}", new, key)
            if found:
                renamed_weights[renamed] = value
    return renamed_weights


def _depth(weights: Mapping[str, torch.Tensor]) -> int:
    return len({found[0] for key in weights if (found := re.match(r"encoder\.layers?\.\d+", key))})
