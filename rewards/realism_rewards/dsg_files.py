"""The files that the authors of DSG published: prompts with questions, the answers of VQA models, human ratings.

Source: Cho et al. 2024, "Davidsonian Scene Graph", repository j-min/DSG.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from realism.base.errors import RealismError
from realism.sources.rows import read_rows

from realism_rewards.dsg import ROOT

CATEGORIES = {
    "tifa160": "tifa",
    "stanford_paragraph": "paragraph",
    "localized_narratives": "paragraph",
    "vrd": "relation",
    "countbench": "count",
    "diffusiondb": "real_user",
    "midjourney": "real_user",
    "posescript": "pose",
    "whoops": "defying",
    "drawtext": "text",
}
"""The category of each source, as the paper averages them."""


@dataclass(frozen=True)
class Item:
    """A prompt with its questions: dicts with question, choices, answer, element, element_type, id and parents.

    source is the collection that the prompt is from, category what it tries. broken are the cells of dependencies that
    name no question of this prompt ("5, right"): where there is one, no question of the prompt has parents, as in the
    published numbers.
    """

    id: str
    text: str
    source: str
    category: str
    questions: list[dict[str, Any]]
    broken: tuple[str, ...] = ()


class Answers(NamedTuple):
    """The arguments of `dsg_score`: the answers of a VQA model on one picture, and the parents of the questions."""

    answers: dict[int, str]
    dependencies: dict[int, list[int]]


def read_items(path: Path) -> list[Item]:
    """The prompts of a file such as dsg-1k-anns.csv, in its order.

    Raises RealismError, naming file and line, for a file that is not there or not of this form.
    """
    columns = ("text", "dependency", "tuple", "category_broad", "question_natural_language")
    rows: dict[str, dict[int, dict[str, Any]]] = {}
    for place, row in read_rows(path):
        _take(rows, place, _cell(place, row, "item_id"), row, "proposition_id", columns)
    return [_item(id, those) for id, those in rows.items()]


def read_answers(path: Path) -> dict[tuple[str, str], Answers]:
    """The answers in a file such as pali17b_dsg.csv, by text-to-image model and item id. Raises as `read_items`."""
    rows: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}
    for place, row in read_rows(path):
        key = _cell(place, row, "t2i_model"), _cell(place, row, "item_id")
        _take(rows, place, key, row, "question_id", ("dependency_id",))
    return {
        key: Answers(
            {i: str(row.get("answer", "")) for i, row in those.items()},
            _dependencies({i: str(row["dependency_id"]) for i, row in those.items()})[0],
        )
        for key, those in rows.items()
    }


def read_likert(path: Path) -> dict[tuple[str, str], list[int]]:
    """The ratings of people, 1 to 5, in a file such as tifa160-likert-anns.csv, by text-to-image model and item id.
    Raises as `read_items`."""
    ratings: dict[tuple[str, str], list[int]] = {}
    for place, row in read_rows(path):
        key = _cell(place, row, "t2i_model"), _cell(place, row, "item_id")
        ratings.setdefault(key, []).append(_number(place, row, "answer"))
    return ratings


def _take(
    rows: dict[Any, dict[int, dict[str, Any]]],
    place: str,
    key: Any,
    row: dict[str, Any],
    number: str,
    needed: tuple[str, ...],
) -> None:
    """File a row under its item and the number of its question."""
    for column in needed:
        _cell(place, row, column)
    those, id = rows.setdefault(key, {}), _number(place, row, number)
    if id in those or id == ROOT:
        raise RealismError(f"{place}: {number} {id} stands twice for one item, or is {ROOT}; number questions from 1")
    those[id] = row


def _item(id: str, rows: dict[int, dict[str, Any]]) -> Item:
    parents, broken = _dependencies({i: str(row["dependency"]) for i, row in rows.items()})
    questions = [
        {
            "question": row["question_natural_language"],
            "choices": ["yes", "no"],
            "answer": "yes",
            "element": str(row["tuple"]).partition("(")[2].rpartition(")")[0].strip() or row["tuple"],
            "element_type": " - ".join(
                c for c in (row["category_broad"], row.get("category_detailed", "-")) if c != "-"
            ),
            "id": i,
            "parents": parents[i],
        }
        for i, row in rows.items()
    ]
    source = id.rpartition("_")[0]
    return Item(id, next(iter(rows.values()))["text"], source, CATEGORIES.get(source, source), questions, broken)


def _dependencies(cells: Mapping[int, str]) -> tuple[dict[int, list[int]], tuple[str, ...]]:
    """The parents of each question, from cells such as "1,2", and the cells that name no question.

    A question that hangs on itself loses that parent: it is wrong if it is wrong.
    """
    broken = tuple(cell for cell in cells.values() if any(i is None or i not in {*cells, ROOT} for i in _ids(cell)))
    if broken:
        return {child: [] for child in cells}, broken
    return {child: [i for i in _ids(cell) if i and i not in (ROOT, child)] for child, cell in cells.items()}, ()


def _ids(cell: str) -> Iterator[int | None]:
    return (int(word) if re.fullmatch(r"[0-9]+", word.strip()) else None for word in cell.split(","))


def _cell(place: str, row: Mapping[str, Any], column: str) -> str:
    if column not in row:
        raise RealismError(f"{place}: no {column}; expected a file as published in the repository j-min/DSG")
    return str(row[column])


def _number(place: str, row: Mapping[str, Any], column: str) -> int:
    cell = _cell(place, row, column)
    if not re.fullmatch(r"[0-9]+", cell):
        raise RealismError(f"{place}: {column} '{cell}' is no whole number; correct the cell")
    return int(cell)
