"""Questions about what a prompt's picture should show, as they stand in the prompt's metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from realism.base.errors import RealismError
from realism.data.types import Prompt


@dataclass(frozen=True)
class Question:
    """A question with its choices, one of which is the answer expected of a faithful picture.

    element and element_type say what of the text it tries ("red", "color"). id is from 1 and unique within the prompt;
    parents are the ids of the questions that must be answered rightly for this one to mean anything (DSG).
    """

    question: str
    choices: tuple[str, ...]
    answer: str
    element: str = ""
    element_type: str = ""
    id: int = 1
    parents: tuple[int, ...] = ()


def questions_of(prompt: Prompt) -> list[Question]:
    """The questions in `metadata["questions"]` of a prompt, a list of dicts with the names of `Question`'s fields; []
    if it has none. Where ids are left out, they are the places in the list.

    Raises RealismError for questions that are not of this form, such as an answer that is none of the choices.
    """
    rows = prompt.metadata.get("questions")
    if rows is None:
        return []
    if not isinstance(rows, (list, tuple)):
        raise RealismError(f"questions of prompt '{prompt.id}' are {_shown(rows)}; expected a list of dicts")
    questions = [_question(row, i, f"question {i} of prompt '{prompt.id}'") for i, row in enumerate(rows, 1)]
    ids = {question.id for question in questions}
    if len(ids) < len(questions):
        raise RealismError(f"two questions of prompt '{prompt.id}' have the same id; give each its own, from 1")
    for question in questions:
        if unknown := next((i for i in question.parents if i not in ids or i == question.id), None):
            raise RealismError(
                f"question {question.id} of prompt '{prompt.id}' has the parent {unknown}; expected ids of the "
                "prompt's other questions"
            )
    return questions


def _question(row: Any, number: int, name: str) -> Question:
    """A row, checked; name says which it is."""
    if not isinstance(row, Mapping):
        raise RealismError(f"{name} is {_shown(row)}; expected a dict with question, choices and answer")
    for key in ("question", "answer"):
        if not isinstance(row.get(key), str) or not row[key].strip():
            raise RealismError(f"{name} has as {key} {_shown(row.get(key))}; expected words")
    choices = row.get("choices")
    if not isinstance(choices, (list, tuple)) or not choices or not all(isinstance(c, str) for c in choices):
        raise RealismError(f"{name} has as choices {_shown(choices)}; expected a list of texts, such as ['yes', 'no']")
    if row["answer"] not in choices:
        raise RealismError(f"{name} has the answer '{row['answer']}', which is none of its choices {list(choices)}")
    id, parents = row.get("id", number), row.get("parents") or ()
    if not _is_id(id) or not isinstance(parents, (list, tuple)) or not all(_is_id(parent) for parent in parents):
        raise RealismError(
            f"{name} has the id {_shown(id)} and the parents {_shown(parents)}; expected a number from 1 and a list of "
            "such numbers"
        )
    return Question(
        row["question"].strip(), tuple(choices), row["answer"], str(row.get("element") or ""),
        str(row.get("element_type") or ""), id, tuple(parents),
    )  # fmt: skip


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
