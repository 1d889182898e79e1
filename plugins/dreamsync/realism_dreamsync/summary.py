"""A summary of the prompts with questions that a step made: files beside its table, and a section in the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from realism.base.files import write_json
from realism.base.tables import count_rows, read
from realism.data.artifacts import Exhibits
from realism.data.rows import Exhibit, PromptRow
from realism.parts.step import Artifacts
from realism.parts.work import Work

from realism_dreamsync.published import write_published
from realism_dreamsync.statistics import statistics

EXAMPLES = 8
"""Prompts shown in the report."""


def questions_shown(available: Artifacts) -> Exhibits:
    """A section of the report; a recipe's second step of this kind gets one of its own."""
    number = 1 + sum(one.heading.startswith("questions") for one in Exhibits.among(available))
    return Exhibits("questions" + (f" {number}" if number > 1 else ""))


def write_summary(table: Path, work: Work, left_out: Mapping[str, int] | None = None) -> None:
    """Write the questions as published ones are, and `statistics.json`; say the statistics; show examples.

    left_out: how many questions were left out, by case.
    """
    write_published(read(table, PromptRow), work.folder)
    counts = statistics((row.text, row.metadata["questions"]) for row in read(table, PromptRow))
    removed = {} if left_out is None else {"left_out": dict(left_out)}
    write_json(work.folder / "statistics.json", {**counts.as_json(), **removed})
    text = str(counts)
    if left_out is not None:
        text += f" Left out: {', '.join(f'{case} {n:,}' for case, n in left_out.items()) or 'none'}."
    work.say(text)
    work.write(questions_shown(work.state), [Exhibit("All", text), *_examples(table)])


def _examples(table: Path) -> Iterator[Exhibit]:
    """Prompts from the whole length of the table, each with its questions."""
    every = max(1, count_rows(table) // EXAMPLES)
    for number, row in enumerate(read(table, PromptRow)):
        if number % every == 0 and number // every < EXAMPLES:
            asked = [f"{q['question']} {q['answer']} (of {', '.join(q['choices'])})" for q in row.metadata["questions"]]
            yield Exhibit(row.text, " · ".join(asked))
