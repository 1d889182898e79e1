"""Encoders tested against known answers: does one name the subjects of real images correctly?"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np

from realism.base.errors import RealismError
from realism.base.files import digest
from realism.base.stats import bootstrap_mean
from realism.base.texts import class_text
from realism.data.rows import Measure, RecordRow
from realism.measuring.descriptions import described
from realism.measuring.groups import ALL
from realism.measuring.reliability import ENCODERS, Share, beside_chance, chance_lines
from realism.parts import ImageEncoder, Images, Part, Retriever, Reward
from realism.parts.embedder import rows_of
from realism.parts.work import Work

ASKED = 500
"""Real images that an encoder is tested on at most, so that the cost does not grow with their number."""
ACCURACY = "zero-shot accuracy on real images"
DESCRIPTION = (
    "The share of real images whose subject an encoder names correctly, as the nearest of the texts of all subjects; "
    "an encoder at chance cannot judge such images."
)
TEMPLATE = "a photo of a {subject}"
OF_IMAGES = "95 %, bootstrap over images; Wilson's where all are correct or none is"
BY_CHANCE = "the same answers, assigned at random"


def label(encoder: ImageEncoder) -> str:
    """What an encoder is called in tables: its name, and its model."""
    return f"{encoder.part_name} ({getattr(encoder, 'model', type(encoder).__name__)})"


def recognition_encoders(reward: Reward) -> list[Retriever]:
    """The encoders by which a reward recognises what pictures show."""
    return [part for part in (getattr(reward, name) for name in reward.recognises_with) if isinstance(part, Retriever)]


def encoders_by_reward(parts: Iterable[Part]) -> dict[str, list[Retriever]]:
    """The `recognition_encoders` of each reward among these parts, by the full name of each of its values."""
    rewards = [part for part in parts if isinstance(part, Reward)]
    return {name: recognition_encoders(reward) for reward in rewards for name in reward.meanings()}


def of_encoders(
    encoders: Iterable[Retriever], images: Images, subjects: Collection[str], work: Work
) -> Iterator[Measure]:
    """The zero-shot accuracy of each encoder on real images: how often, of the texts of all subjects that are shown,
    that of the image's own is nearest to the image. Beside it what the same answers would get if they were assigned at
    random: an encoder that always gives one answer is at chance, however often that is right.

    subjects: those that prompts ask for; images of these are asked about, of any if fewer than two of them are there.
    """
    available = {row.subject for row in rows_of(images)} - {""}
    among = available & set(subjects) if len(available & set(subjects)) > 1 else available
    every = (row for row in rows_of(images) if row.subject in among)
    drawn = heapq.nsmallest(ASKED, every, key=lambda row: digest(row.id))
    asked = {label(encoder): _named(encoder, drawn, work) for encoder in encoders}
    shares = {called: share for called, share in asked.items() if share}
    lines = chance_lines([shares])
    about = described(DESCRIPTION) | {"seed": work.seed, "unit": "share", "interval": OF_IMAGES, "chance": BY_CHANCE}
    about |= {"real": images.part_name}
    for numbers in beside_chance(shares, lines):
        tested = {ENCODERS: [numbers["arm"]]} if numbers["arm"] in shares else {}
        yield Measure(name=ACCURACY, group=ALL, detail=about | tested, **numbers)


def _named(encoder: Retriever, drawn: Sequence[RecordRow], work: Work) -> Share | None:
    """How many of these images an encoder names rightly; None if they have but one subject, or it reads no text."""
    readable, _ = work.embedder.embed(encoder, drawn, work.title)  # what cannot be read is for others to count
    texts = [class_text(TEMPLATE, row.subject) for row in readable]
    classes = sorted(set(texts))
    if len(classes) < 2:
        return None
    try:
        of_classes = encoder.encode_texts(classes).astype(np.float64)
    except RealismError:
        return None
    cosines = work.embedder.vectors(encoder, [row.key for row in readable]).astype(np.float64) @ of_classes.T
    answers, truth = cosines.argmax(1), np.array([classes.index(text) for text in texts])
    given, true = (np.bincount(one, minlength=len(classes)) / len(texts) for one in (answers, truth))
    return Share(bootstrap_mean(answers == truth, work.seed), len(texts), float(given @ true))
