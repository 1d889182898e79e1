"""Prompts from a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from realism.base.errors import RealismError
from realism.base.plain import parse_json
from realism.base.text_files import numbered_lines
from realism.data.types import Prompt
from realism.parts import Prompts
from realism.sources.listed import AtPath
from realism.sources.rows import read_rows

LONGEST_PROMPT = 100_000
"""Characters; a longer line is no prompt, but a file of another kind."""


@dataclass
class PromptFile(AtPath, Prompts):
    """Prompts from a .jsonl, .csv or .parquet file with a column `text`, or a .txt file with one prompt a line.

    Other columns: `id` (if there is none, which prompt of the file it is, from 00001), `subject`, `rewritten` (what to
    draw in place of the text), and `metadata` (an object). Any further column goes into the metadata.
    """

    path: str
    """The file, absolute or relative to the working folder."""

    def options_error(self) -> str | None:
        if self.place.suffix.lower() not in (".jsonl", ".csv", ".parquet", ".txt"):
            return f"'{self.path}' is no prompt file: expected .jsonl, .csv, .parquet or .txt"
        return None if self.place.is_file() else f"no prompt file '{self.path}'"

    def prompts(self) -> Iterator[Prompt]:
        path = self.place
        if problem := self.options_error():
            raise RealismError(problem)
        seen: dict[str, str] = {}
        for number, (place, row) in enumerate(_lines(path) if path.suffix.lower() == ".txt" else read_rows(path), 1):
            prompt = _prompt(place, number, row)
            if prompt.id in seen:
                raise RealismError(f"{place}: id '{prompt.id}' is taken by {seen[prompt.id]}")
            seen[prompt.id] = place
            yield prompt
        if not seen:
            raise RealismError(f"{path}: no prompt in it")


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in numbered_lines(path):
        if line.strip():
            yield f"{path}:{number}", {"text": line.strip()}


def _prompt(place: str, number: int, row: dict[str, Any]) -> Prompt:
    """One row as a prompt. A missing id is made of the place in the file: prompt 1 is "00001"."""
    text = row.pop("text", None)
    if not isinstance(text, str) or not text.strip():
        columns = f"; its columns are: {', '.join(row)}" if text is None and row else ""
        raise RealismError(f"{place}: no text{columns}")
    if len(text) > LONGEST_PROMPT:
        raise RealismError(f"{place}: a text of {len(text):,} characters; a prompt has at most {LONGEST_PROMPT:,}")
    if "\0" in text:
        raise RealismError(f"{place}: a zero byte in the text; save the file as UTF-8")
    metadata = row.pop("metadata", {})
    if isinstance(metadata, str):
        metadata = parse_json(metadata, f"{place}: metadata")
    if not isinstance(metadata, dict):
        raise RealismError(f'{place}: metadata should be an object such as {{"split": "test"}}')
    identity = str(row.pop("id", f"{number:05d}"))
    subject, rewritten = str(row.pop("subject", "")), str(row.pop("rewritten", ""))
    return Prompt(identity, text.strip(), subject, {**row, **metadata}, rewritten)
