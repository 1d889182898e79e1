"""VQAScore: the probability that a model says that an image shows a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from realism.data.types import Picture
from realism.parts import Scores

from realism_rewards.answering_loading import AnsweringReward

QUESTION = 'Does this figure show "{}"? Please answer yes or no.'


@dataclass
class VqaScore(AnsweringReward):
    """VQAScore: P("Yes" | image, 'Does this figure show "TEXT"? Please answer yes or no.'), in [0, 1]; higher is more
    faithful. Source: Lin et al. 2024, "Evaluating Text-to-Visual Generation with Image-to-Text Generation".

    It is the softmax over the whole vocabulary of the first token of the answer, not over yes and no alone; the token
    is "Yes", with or without a space before it. (For encoder-decoders the authors' code takes the geometric mean with
    the probability that the answer then ends.) The model is asked by its chat template; BLIP-2 after "Question:" and
    before "Answer:", BLIP the question alone.
    """

    def score(self, pictures: Sequence[Picture]) -> Scores:
        import torch

        if not pictures:
            return Scores(torch.empty(0))
        questions = [QUESTION.format(picture.prompt.text) for picture in pictures]
        chances = self.answerer.chances([picture.image for picture in pictures], questions, "Yes")
        return Scores(torch.tensor(chances, dtype=torch.float32).clamp(0, 1))
