"""Prompts and questions as the benchmarks publish them: TIFA's JSON and DSG's CSV."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from realism.base.errors import RealismError
from realism.base.files import atomic_write
from realism.data.rows import PromptRow

DSG_COLUMNS = (
    "item_id", "text", "keywords", "proposition_id", "dependency", "category_broad", "category_detailed", "tuple",
    "question_natural_language",
)  # fmt: skip


def write_published(prompts: Iterable[PromptRow], folder: Path) -> Path:
    """Write `dsg.csv` if the first prompt's questions have ids, else `tifa.json`, into the folder; whole or not at all.

    Raises RealismError if the questions are of both forms.
    """
    every = ((prompt, question) for prompt in prompts for question in prompt.metadata["questions"])
    first = next(every, None)
    rows = itertools.chain([first] if first else [], every)
    numbered = first is not None and "id" in first[1]
    alike = (_alike(prompt, question, numbered) for prompt, question in rows)
    return _dsg(alike, folder / "dsg.csv") if numbered else _tifa(alike, folder / "tifa.json")


def _alike(prompt: PromptRow, question: dict[str, Any], numbered: bool) -> tuple[PromptRow, dict[str, Any]]:
    if ("id" in question) != numbered:
        raise RealismError(
            f"some questions have an 'id', as DSG's, and some have none, as TIFA's, such as one of prompt "
            f"'{prompt.id}'; give all of them one, or none"
        )
    return prompt, question


def _tifa(rows: Iterator[tuple[PromptRow, dict[str, Any]]], path: Path) -> Path:
    """A list of objects, one for each question. Source: Hu et al. 2023, `tifa_v1.0_question_answers.json`."""
    names = ("question", "choices", "answer", "element_type", "element")
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        start = "["
        for prompt, question in rows:
            row = {"id": prompt.id, "caption": prompt.text, **{name: question.get(name) or "" for name in names}}
            file.write(f"{start}\n{json.dumps(row, ensure_ascii=False)}")
            start = ","
        file.write("\n]\n" if start == "," else "[]\n")
    return path


def _dsg(rows: Iterator[tuple[PromptRow, dict[str, Any]]], path: Path) -> Path:
    """A table of a row for each question. Source: Cho et al. 2024, `dsg-1k-anns.csv`."""
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(DSG_COLUMNS)
        for prompt, q in rows:
            broad, _, detailed = str(q.get("element_type") or "").partition(" - ")
            element = str(q.get("element") or "")
            detailed = detailed or "-"
            above = ",".join(map(str, q.get("parents", ()))) or "0"
            named = f"{broad} - {detailed} ({element})"
            table.writerow((prompt.id, prompt.text, element, q["id"], above, broad, detailed, named, q["question"]))
    return path
