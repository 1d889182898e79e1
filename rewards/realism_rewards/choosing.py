"""From a free-form answer to one of the choices: the same words, or the nearest by sentence embedding."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from realism.base.batching import Batches
from realism.base.devices import pick_device
from realism.base.errors import RealismError
from realism.base.loading import load_model, load_without_weights
from realism.plugins.models import find_model

SENTENCES = "sentence-transformers/all-mpnet-base-v2"
"""The embedder of TIFA."""


def literally(answer: str, choices: Sequence[str]) -> str | None:
    """The choice that the answer is, or else the first that it is but for case, articles, punctuation and spaces; None
    if it is none."""
    if answer in choices:  # "3+" is not "3"
        return answer
    wanted = bare(answer)
    return next((choice for choice in choices if bare(choice) == wanted), None)


def bare(text: str) -> str:
    """A text in lower case without articles, punctuation and spare spaces; itself if nothing else is left."""
    words = re.sub(r"[^\w\s]", " ", text.lower()).split()
    return " ".join(word for word in words if word not in ("a", "an", "the")) or text.lower().strip()


@dataclass
class Sentences:
    """Sentence embeddings: the mean of a text encoder's last layer over the tokens of a text."""

    model: str
    device: str = "auto"
    batch: int | None = None

    def nearest(self, answers: Sequence[str], choices: Sequence[Sequence[str]]) -> list[str]:
        """For each answer the choice of the greatest cosine, the first of equals. Each distinct text is encoded once.

        Raises RealismError if the model cannot be had."""
        import torch

        texts = sorted(
            {*answers, *(choice for those in choices for choice in those)}, key=lambda text: (len(text), text)
        )
        at = {text: i for i, text in enumerate(texts)}
        rows = torch.stack(self._batches.run(texts, self._rows))
        picked = []
        for answer, those in zip(answers, choices, strict=True):
            # Rounded, so that a choice does not hang on the last bit, which a batch may change.
            cosines = (rows[[at[choice] for choice in those]] @ rows[at[answer]]).mul(1e5).round()
            picked.append(those[int(cosines.argmax())])
        return picked

    @cached_property
    def _batches(self) -> Batches:
        return Batches(self.batch, start=64)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        """The encoder in float32, and its tokenizer."""
        from transformers import AutoModel, AutoTokenizer

        source = find_model(self.model)
        try:
            tokenizer = load_without_weights(AutoTokenizer, source)
            model = load_model(AutoModel, source).float()
        except RealismError as error:
            raise RealismError(
                f"embedder: {error}; give another, or 'none' to count answers that are none of the choices as wrong"
            ) from error
        return model.to(pick_device(self.device)).eval(), tokenizer

    def _rows(self, texts: list[str]) -> list[Any]:
        """Rows (d,) float32 of length 1."""
        import torch

        model, tokenizer = self._loaded
        with torch.inference_mode():
            # No longer than the model was made for; mpnet's places begin after two that are its own.
            longest = min(tokenizer.model_max_length, model.config.max_position_embeddings - 2)
            read = tokenizer(
                texts, padding=True, padding_side="right", truncation=True, max_length=longest, return_tensors="pt"
            ).to(model.device)
            last = model(**read).last_hidden_state
            mask = read.attention_mask[..., None].to(last.dtype)
            means = (last * mask).sum(1) / mask.sum(1).clamp_min(1)
            return list(torch.nn.functional.normalize(means, dim=-1).cpu())
