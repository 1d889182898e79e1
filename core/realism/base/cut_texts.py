"""Texts longer than a model reads: counted while a step works, with one warning at its end."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

_read: dict[tuple[str, int, str], dict[int, bool]] = {}
"""By reader, tokens that it reads, and what it calls texts: the hash of each text, and whether it is longer."""


def note_texts(reader: str, limit: int, texts: Iterable[str], longer: Iterable[bool], called: str = "prompts") -> None:
    """Note for each text whether it has more tokens than the `limit` that a part reads. A text counts once a step.

    reader: the part's name in the recipe."""
    seen = _read.setdefault((reader, limit, called), {})
    seen.update((hash(text), bool(cut)) for text, cut in zip(texts, longer, strict=True))


def warn_of_cut_texts() -> None:
    """Warn of the texts that were cut since this was last called, in one sentence for each part that read some."""
    for (reader, limit, called), seen in _read.items():
        if cut := sum(seen.values()):
            logging.getLogger("realism").warning(
                f"'{reader}' reads {limit} tokens: {cut} of {len(seen)} {called} are longer and were cut"
            )
    _read.clear()


def token_counts(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    """How many tokens each text has by a tokenizer of transformers, with those that it puts before and after."""
    return [len(ids) for ids in tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]] if texts else []
