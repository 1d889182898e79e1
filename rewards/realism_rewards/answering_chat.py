"""Models of images and text as answerers, by their own chat templates."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realism.base.chat_models import as_chat_model

from realism_rewards.answering import Answerer

if TYPE_CHECKING:
    import torch
    from PIL import Image

SHARING = ("llava", "llava_next", "vipllava", "qwen2_vl", "qwen2_5_vl")
"""Model types that read from left to right, image before question, so that questions can share the image."""


class _Chat(Answerer):
    """A model with a chat template. It is asked "QUESTION Answer with one of these: a, b, c." after the image."""

    def __init__(self, model: Any, reader: Any, batch: int | None = None):
        super().__init__(model, reader, batch)
        self.chat = as_chat_model(model, reader)

    def wording(self, question: str, choices: Sequence[str]) -> str:
        return f"{question} Answer with one of these: {', '.join(choices)}." if choices else question

    def templated(self, texts: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
        """Each text as a message after one image, and the options with which the tokenizer reads it."""
        return self.chat.prompts([[self.chat.message("user", text, images=1)] for text in texts])

    def read(self, images: list[Image.Image], texts: Sequence[str]) -> Any:
        """The inputs for a text about each image, where the model is."""
        chats, options = self.templated(texts)
        read = self.reader(
            text=chats, images=[[image] for image in images], padding=True, return_tensors="pt", **options
        )
        return read.to(self.model.device, self.model.dtype)

    def generate(self, limit: int, **inputs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        made = self.model.generate(**inputs, max_new_tokens=limit, output_logits=True, return_dict_in_generate=True)
        return made.sequences[:, inputs["input_ids"].shape[1] :], made.logits[0]

    @abstractmethod
    def look(self, images: list[Image.Image]) -> list[Any]: ...


class PlainChat(_Chat):
    """Any class of transformers for images and text. Nothing is shared: each question brings its image along."""

    def look(self, images: list[Image.Image]) -> list[Image.Image]:
        return images

    def write(self, seen: list[Image.Image], texts: list[str], limit: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.generate(limit, **self.read(seen, texts))


@dataclass(frozen=True)
class _Prefix:
    """What a model has read when it comes to the end of an image: a row of keys and values, and of token ids."""

    cache: Any
    row: int
    ids: list[int]
    shift: torch.Tensor | None
    """Where Qwen's positions go on after an image, which takes fewer of them than it has tokens."""


class SharedChat(_Chat):
    """A class of transformers in `SHARING`. Shared by the questions of an image: all that the model reads up to the
    end of the image, as keys and values (image features are the smaller part of that work)."""

    def look(self, images: list[Image.Image]) -> list[_Prefix]:
        inputs = self.read(images, [""] * len(images))
        ids = inputs["input_ids"]
        end = int((ids[0] == self.model.config.image_token_id).nonzero()[-1]) + 1
        cut = {key: value[:, :end] if value.shape == ids.shape else value for key, value in inputs.items()}
        cache = self.model(**cut, use_cache=True, logits_to_keep=1).past_key_values
        shifts = getattr(self.model.base_model, "rope_deltas", None)
        return [
            _Prefix(cache, i, row, None if shifts is None else shifts[i])
            for i, row in enumerate(cut["input_ids"].tolist())
        ]

    def write(self, seen: list[_Prefix], texts: list[str], limit: int) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        chats, options = self.templated(texts)
        image, device = self.model.config.image_token_id, self.model.device
        rest = [_after(row, image) for row in self.tokenizer(chats, **options).input_ids]
        longest, pad = max(map(len, rest)), self.model.generation_config.pad_token_id
        gaps = [[pad] * (longest - len(row)) for row in rest]  # between image and question, which the mask leaves out
        ids = [p.ids + gap + row for p, gap, row in zip(seen, gaps, rest, strict=True)]
        mask = [
            [1] * len(p.ids) + [0] * len(gap) + [1] * len(row) for p, gap, row in zip(seen, gaps, rest, strict=True)
        ]
        if seen[0].shift is not None:
            self.model.base_model.rope_deltas = torch.stack([p.shift for p in seen if p.shift is not None])
        return self.generate(
            limit, input_ids=torch.tensor(ids, device=device), attention_mask=torch.tensor(mask, device=device),
            past_key_values=_rows(seen[0].cache, [p.row for p in seen]),
        )  # fmt: skip


def _after(ids: list[int], image: int) -> list[int]:
    """What comes after the last image token."""
    return ids[len(ids) - ids[::-1].index(image) :]


def _rows(cache: Any, rows: list[int]) -> Any:
    """Rows of a cache as a cache of their own, which can grow."""
    import torch

    made = copy.copy(cache)
    made.layers = [copy.copy(layer) for layer in cache.layers]
    made.batch_select_indices(torch.tensor(rows, device=made.layers[0].keys.device))
    return made
