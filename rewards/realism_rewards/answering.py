"""Models that answer questions about images, and how they are asked many questions at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from realism.base.batching import Batches
from realism.base.errors import RealismError

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from realism_rewards.questions import Question

T = TypeVar("T")

ANSWER_TOKENS = 24
"""A longer answer is cut there."""


class Answerer(ABC):
    """A model on its device. An answer depends on image and question alone, not on what is asked beside it.

    Each image is looked at once, however many questions there are about it; then pairs of image and question are
    written in batches that run across images.
    """

    def __init__(self, model: Any, reader: Any, batch: int | None = None):
        self.model = model
        self.reader = reader
        """What turns images and texts into the model's inputs: its processor."""
        self._images, self._pairs = Batches(batch, start=16), Batches(batch, start=64)

    @abstractmethod
    def look(self, images: list[Image.Image]) -> list[Any]:
        """What the model makes of each image, images being of one size, for `write`."""

    @abstractmethod
    def write(self, seen: list[Any], texts: list[str], limit: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The likeliest tokens (n, at most limit) after each text, padded, and the logits (n, vocabulary) of the first,
        where seen is what `look` gave of the text's image."""

    @abstractmethod
    def wording(self, question: str, choices: Sequence[str]) -> str:
        """How the model is asked a question, whose choices may be none."""

    @property
    def tokenizer(self) -> Any:
        return self.reader.tokenizer

    def answer(self, images: Sequence[Image.Image], questions: Sequence[Sequence[Question]]) -> list[list[str]]:
        """The free-form answers to the questions about each image, stripped."""

        def write(pairs: list[tuple[Any, str]]) -> list[str]:
            tokens, _ = self.write([seen for seen, _ in pairs], [text for _, text in pairs], ANSWER_TOKENS)
            return [text.strip() for text in self.tokenizer.batch_decode(tokens, skip_special_tokens=True)]

        return self._ask(images, [[self.wording(q.question, q.choices) for q in those] for those in questions], write)

    def chances(self, images: Sequence[Image.Image], questions: Sequence[str], word: str) -> list[float]:
        """The probability, among all next tokens, that each image's question is answered with that word.

        Raises RealismError if the model's vocabulary has no such word."""
        tokens = self._tokens(word)

        def write(pairs: list[tuple[Any, str]]) -> list[float]:
            _, logits = self.write([seen for seen, _ in pairs], [text for _, text in pairs], 1)
            return logits.float().softmax(-1)[:, tokens].sum(-1).tolist()

        return [chance for [chance] in self._ask(images, [[self.wording(text, ())] for text in questions], write)]

    def _tokens(self, word: str) -> list[int]:
        """The tokens that are this word, at the beginning of a text or after a space."""
        starts = {(self.tokenizer(text, add_special_tokens=False).input_ids or [-1])[0] for text in (word, f" {word}")}
        found = sorted(t for t in starts if t >= 0 and self.tokenizer.decode([t]).strip().lower() == word.lower())
        if not found:
            raise RealismError(f"the model has no single token for '{word}'; choose a model that can answer with it")
        return found

    def _ask(
        self,
        images: Sequence[Image.Image],
        texts: Sequence[Sequence[str]],
        write: Callable[[list[tuple[Any, str]]], list[T]],
    ) -> list[list[T]]:
        """What `write` gives of the texts about each image. Images of one size go together, as models pad others."""
        import torch

        sizes: dict[tuple[int, int], list[int]] = defaultdict(list)
        for i, image in enumerate(images):
            if texts[i]:
                sizes[image.size].append(i)

        def group(those: list[int]) -> list[list[T]]:
            with torch.inference_mode():
                seen = self.look([images[i].convert("RGB") for i in those])
                pairs = [(saw, text) for i, saw in zip(those, seen, strict=True) for text in texts[i]]
                written = iter(self._pairs.run(pairs, write))
            return [[next(written) for _ in texts[i]] for i in those]

        results: list[list[T]] = [[] for _ in images]
        for same in sizes.values():
            for i, result in zip(same, self._images.run(same, group), strict=True):
                results[i] = result
        return results
