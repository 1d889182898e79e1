"""What travels between parts: prompts, requests, pictures, records and hits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Prompt:
    """What a picture should show.

    id is unique within its source; text is the prompt as asked, by which pictures are judged, and rewritten what is
    drawn instead, "" if that is the same; subject names the thing whose look matters (a species, a product), "" if
    there is none; metadata is JSON-like and may be grouped by in `evaluate`.
    """

    id: str
    text: str
    subject: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    rewritten: str = ""


@dataclass(frozen=True)
class Record:
    """One image of a database: where it lies and what is known of it (subject, caption, licence, source, ...)."""

    id: str
    path: Path
    subject: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Hit:
    """One retrieved record, with its cosine similarity to the query in [-1, 1]."""

    record: Record
    similarity: float


@dataclass(frozen=True)
class Request:
    """One picture to make. The same Request gives the same picture, whatever batch it rides in (to 1/255).

    seed is in [0, 2**63). references are RGB images that the picture should take its look from, best first.
    """

    prompt: Prompt
    seed: int
    references: tuple[Image.Image, ...] = ()

    @property
    def text(self) -> str:
        """What to draw: the prompt's text, or what a rewriter has made of it."""
        return self.prompt.rewritten or self.prompt.text


@dataclass(frozen=True)
class Unmade:
    """What a generator returns in the place of a picture that it could not make, with the reason in a few words."""

    reason: str


@dataclass(frozen=True)
class Picture:
    """What a reward judges: an RGB image, which it does not change, the prompt it should show, and, for a reward that
    uses them, the RGB images it was made from, best first."""

    image: Image.Image
    prompt: Prompt
    references: tuple[Image.Image, ...] = ()


def request_seed(seed: int, prompt_id: str, sample: int) -> int:
    """The seed, in [0, 2**63), of one picture: a hash of the run's seed, the prompt and the sample's number, so that
    it depends neither on the order of prompts nor on the arm (arms are compared on the same noise)."""
    digest = hashlib.blake2b(f"{seed}/{prompt_id}/{sample}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
