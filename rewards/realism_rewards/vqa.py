"""Faithfulness by questions: a model answers them about an image, and its answers are compared with those expected."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from realism.base.duplicates import pixel_hash
from realism.base.errors import RealismError
from realism.base.pretrained import weights_error
from realism.data.types import Picture
from realism.parts import Reward, Scores
from realism.plugins.models import find_model, local_folder

from realism_rewards.answering_loading import AnsweringReward
from realism_rewards.choosing import SENTENCES, Sentences, bare, literally
from realism_rewards.dsg import dsg_score
from realism_rewards.questions import Question, questions_of

if TYPE_CHECKING:
    from PIL import Image

KEPT = 2**16
"""Answers that are kept, so that rewards of the same pictures need not ask again."""

Key = tuple[str, str, tuple[str, ...]]


class Answer(NamedTuple):
    """A question, and the choice that the answer came to; or the answer itself where it came to none."""

    question: Question
    choice: str

    @property
    def right(self) -> bool:
        return bare(self.choice) == bare(self.question.answer)


@dataclass
class Vqa(AnsweringReward):
    """VQA accuracy: the share of a prompt's questions that a model answers about the picture as expected of a faithful
    one, in [0, 1]; higher is more faithful.

    S_M of DreamSync (Sun et al. 2023, section 3.2), TIFA of one picture (Hu et al. 2023): the model answers freely; the
    answer is the choice with the same words (but for case, articles and punctuation), else the nearest choice by
    sentence embedding; it is right if it is the expected choice. NaN for a prompt without questions.

    BLIP is asked the question alone; BLIP-2 as in TIFA, "Answer the multiple-choice question. Question: ... Choices:
    a, b, c Answer:"; a chat model "... Answer with one of these: a, b, c.". Answers are the likeliest word by word,
    where TIFA's BLIP-2 searches five beams.
    """

    embedder: str = "auto"
    """The sentence embedder: a folder or hub id of a text encoder, whose tokens are averaged. none: an answer that is
    none of the choices is wrong. auto is all-mpnet-base-v2, as in TIFA; but none for a model that a plugin ships, as
    that works without the network."""

    def inputs(self) -> list[Path]:
        folder = None if self.embedder in ("auto", "none") else local_folder(self.embedder)
        return [*super().inputs(), *([folder] if folder else [])]

    def options_error(self) -> str | None:
        if self.embedder not in ("auto", "none"):
            try:
                source = find_model(self.embedder)
            except RealismError as error:
                return f"embedder: {error}"
            if isinstance(source, Path) and (sentence := weights_error(source)):
                return f"embedder: {sentence}"
        return super().options_error()

    def release(self) -> None:
        self.__dict__.pop("_sentences", None)
        super().release()

    def score(self, pictures: Sequence[Picture]) -> Scores:
        return _scores(self.answers(pictures), lambda those: fmean(answer.right for answer in those))

    def answers(self, pictures: Sequence[Picture]) -> list[list[Answer]]:
        """The answers to each prompt's questions about its picture. What was asked lately is not asked again.

        Raises RealismError for malformed questions."""
        images = [picture.image for picture in pictures]
        questions = [questions_of(picture.prompt) for picture in pictures]
        marks = [pixel_hash(image) for image in images]
        wanted: dict[Key, tuple[int, Question]] = {}
        for i, (mark, those) in enumerate(zip(marks, questions, strict=True)):
            wanted |= {_key(mark, question): (i, question) for question in those}
        known = {key: self._kept[key] for key in wanted if key in self._kept}
        if new := {key: value for key, value in wanted.items() if key not in known}:
            taken = dict(zip(new, self._ask(images, list(new.values())), strict=True))
            self._keep(taken)
            known |= taken
        return [
            [Answer(question, known[_key(mark, question)]) for question in those]
            for mark, those in zip(marks, questions, strict=True)
        ]

    def _ask(self, images: Sequence[Image.Image], asked: list[tuple[int, Question]]) -> list[str]:
        """The choices taken for questions about images[i]."""
        at: dict[int, list[Question]] = {}
        for i, question in asked:
            at.setdefault(i, []).append(question)
        replies = self.answerer.answer([images[i] for i in at], list(at.values()))
        each = {i: iter(those) for i, those in zip(at, replies, strict=True)}
        return self._choose([next(each[i]) for i, _ in asked], [question for _, question in asked])

    def _choose(self, replies: list[str], questions: list[Question]) -> list[str]:
        found = [literally(reply, q.choices) for reply, q in zip(replies, questions, strict=True)]
        open_ = [i for i, choice in enumerate(found) if choice is None]
        if open_ and self._sentences:
            nearest = self._sentences.nearest([replies[i] for i in open_], [questions[i].choices for i in open_])
            for i, choice in zip(open_, nearest, strict=True):
                found[i] = choice
        return [reply if choice is None else choice for reply, choice in zip(replies, found, strict=True)]

    @cached_property
    def _sentences(self) -> Sentences | None:
        from realism.plugins.manager import plugins

        shipped = plugins().registry.find(self.model, "model") is not None
        if self.embedder == "none" or (self.embedder == "auto" and shipped):
            return None
        return Sentences(SENTENCES if self.embedder == "auto" else self.embedder, self.device, self.batch)

    @cached_property
    def _kept(self) -> OrderedDict[Key, str]:
        return OrderedDict()

    def _keep(self, choices: dict[Key, str]) -> None:
        self._kept.update(choices)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)


@dataclass
class VqaAbsolute(Reward):
    """Absolute faithfulness: 1 if all of a prompt's questions are answered as expected of a faithful picture, else 0;
    NaN for a prompt without questions. S_A of DreamSync (Sun et al. 2023, section 3.2)."""

    range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    of: Vqa
    """The reward that asks; what it has asked for its own score is not asked again."""

    def score(self, pictures: Sequence[Picture]) -> Scores:
        return _scores(self.of.answers(pictures), lambda those: float(all(answer.right for answer in those)))


@dataclass
class VqaDsg(Reward):
    """DSG score: the share of a prompt's questions that count as right, in [0, 1], where a question counts as wrong if
    one of its parents is answered wrongly; higher is more faithful, NaN for a prompt without questions. Source: Cho et
    al. 2024, "Davidsonian Scene Graph"."""

    range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    of: Vqa
    """The reward that asks; what it has asked for its own score is not asked again."""

    def score(self, pictures: Sequence[Picture]) -> Scores:
        return _scores(self.of.answers(pictures), _dsg)


def _dsg(answers: list[Answer]) -> float:
    yes = {answer.question.id: "yes" if answer.right else "no" for answer in answers}
    return dsg_score(yes, {answer.question.id: answer.question.parents for answer in answers})


def _scores(answers: list[list[Answer]], value: Callable[[list[Answer]], float]) -> Scores:
    """The value of each picture's answers, NaN where nothing was asked, and the answers behind it."""
    import torch

    values = [value(those) if those else math.nan for those in answers]
    return Scores(torch.tensor(values, dtype=torch.float32), [_told(those) for those in answers])


def _told(answers: list[Answer]) -> dict[str, Any]:
    """Answers as data for tables and the report."""
    if not answers:
        return {}
    rows = [
        {"question": a.question.question, "expected": a.question.answer, "answer": a.choice, "right": a.right}
        for a in answers
    ]
    return {"answers": rows}


def _key(mark: str, question: Question) -> Key:
    return mark, question.question, question.choices
