"""Calls of parts that look at what comes back, before anybody relies on it. They raise BrokenContract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realism.data.types import Picture, Record, Request, Unmade
from realism.data.writable import record_problem
from realism.parts.generator import Generator
from realism.parts.language import Chat, LanguageModel
from realism.parts.metric import Features, SetMetric
from realism.parts.retriever import Index, Retriever
from realism.parts.returned import (
    found_error,
    number_error,
    pictures_error,
    replies_error,
    require,
    rows_error,
    value_type,
)
from realism.parts.reward import Reward, Scores
from realism.parts.scores import scores_error
from realism.parts.sources import Images

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image


def generate(generator: Generator, requests: Sequence[Request]) -> list[Image.Image | Unmade]:
    """The pictures of requests, or why there is none."""
    return pictures(generator, generator.generate(requests), len(requests))


def pictures(generator: Generator, made: Any, n: int) -> list[Image.Image | Unmade]:
    """What a generator has made of n requests, as a list."""
    require(generator, pictures_error(made, n))
    return list(made)


def score(reward: Reward, pictures: Sequence[Picture]) -> Scores:
    """What a reward says of pictures."""
    scores = reward.score(pictures)
    require(reward, scores_error(reward, scores, len(pictures)))
    return scores


def reply(language: LanguageModel, chats: Sequence[Chat]) -> list[str]:
    """The replies to chats."""
    replies = language.reply(chats)
    require(language, replies_error(replies, len(chats)))
    return list(replies)


def encode_texts(retriever: Retriever, texts: Sequence[str]) -> np.ndarray:
    """The rows (n, d) of texts."""
    rows = retriever.encode_texts(texts)
    require(retriever, rows_error("encode_texts", rows, len(texts)))
    return rows


def search(
    index: Index, folder: Path, queries: np.ndarray, k: int, rows: int, allowed: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """What `Index.search` finds among so many rows."""
    found = index.search(folder, queries, k, allowed)
    require(index, found_error(found, len(queries), k, rows, allowed))
    return found


def measure(metric: SetMetric, features: Features, real: Features) -> float:
    """The distance of two sets."""
    value = metric.measure(features, real)
    require(metric, number_error("measure", value))
    return float(value)


def records(images: Images) -> Iterator[Record]:
    """The records of a collection, as they come."""
    found = images.records()
    require(images, None if isinstance(found, Iterable) else f"records gave {value_type(found)}, not records")
    for record in found:
        require(images, record_problem(record))
        yield record
