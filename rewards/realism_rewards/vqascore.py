"""VQAScore: the probability that a model says that an image shows a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realism.data.types import Prompt

from realism_rewards.answering_loading import AnsweringReward

if TYPE_CHECKING:
    import torch
    from PIL import Image

QUESTION = 'Does this figure show "{}"? Please answer yes or no.'


@dataclass
class VqaScore(AnsweringReward):
    """P("Yes" | image, 'Does this figure show "TEXT"? Please answer yes or no.'), in [0, 1]. Source: Lin et al. 2024,
    "Evaluating Text-to-Visual Generation with Image-to-Text Generation".

    It is the softmax over the whole vocabulary of the first token of the answer, not over yes and no alone; the token
    is "Yes", with or without a space before it. (For encoder-decoders the authors' code takes the geometric mean with
    the probability that the answer then ends.) The model is asked by its chat template; BLIP-2 after "Question:" and
    before "Answer:", BLIP the question alone.
    """

    def score(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> torch.Tensor:
        import torch

        if not images:
            return torch.empty(0)
        questions = [QUESTION.format(prompt.text) for prompt in prompts]
        return torch.tensor(self.answerer.chances(images, questions, "Yes"), dtype=torch.float32).clamp(0, 1)
