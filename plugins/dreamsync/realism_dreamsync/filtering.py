"""The step `filter_questions`: a language model says which questions cannot be answered, and they are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le
from realism.base.errors import RealismError
from realism.base.tables import Row, chunks, count_rows, read
from realism.data.artifacts import Artifact, PromptTable
from realism.data.rows import PromptRow, Skipped
from realism.data.types import Prompt
from realism.parts import LanguageModel
from realism.parts.step import Artifacts, Step
from realism.parts.work import Shard, Table, Work
from realism_rewards.questions import questions_of

from realism_dreamsync.formats import read_verdict
from realism_dreamsync.instructions import filter_chat
from realism_dreamsync.retries import Unread, ask
from realism_dreamsync.summary import questions_shown, write_summary

SHARD = 256
UNREAD = "no verdict"


@dataclass(frozen=True)
class FilterDecision(Row):
    """The verdict on one question of a prompt: why it is left out, "" if it is kept."""

    prompt_id: str
    question: str
    case: str


@dataclass
class FilterQuestions(Step):
    """Leave out questions that have several answers, an ambiguous answer or one that is not valid, as a language model
    judges, which is asked about each by itself. Prompts that no question is left of are skipped.

    In DSG's form, what depended on a question that is left out depends on it no more. Source: DreamSync, section 4.1.
    """

    writer: LanguageModel
    """Judges the questions."""
    attempts: Annotated[int, Ge(1), Le(100)] = 3
    """How often to ask about a question before it is skipped."""
    shard: Annotated[int, Ge(1), Le(10_000)] = 256
    """How many questions are asked about, and written down, at a time."""

    scope = "recipe"

    def title(self) -> str:
        return "filter_questions"

    def reads(self, available: Artifacts) -> list[Artifact]:
        return [PromptTable()]

    def writes(self, available: Artifacts) -> list[Artifact]:
        return [PromptTable(), questions_shown(available)]

    def run(self, work: Work) -> None:
        prompts = work.path(PromptTable())
        asked = sum(len(questions_of(_noun(row))) for row in read(prompts, PromptRow))
        if not asked:
            raise RealismError("filter_questions: no prompt has questions; put a step 'write_questions' before")
        shards = chunks(_each_question(prompts), self.shard)
        verdicts = work.map(Table(FilterDecision, "verdicts"), shards, self._judge, total=asked, unit="questions")
        pairs = chunks(_with_verdicts(prompts, verdicts), SHARD)
        table = work.map(PromptTable(), pairs, self._keep, total=count_rows(prompts), unit="prompts")
        write_summary(table, work, Counter(row.case for row in read(verdicts, FilterDecision) if row.case))

    def _judge(self, _: int, asked: Sequence[tuple[PromptRow, dict[str, Any]]]) -> Shard:
        chats = [filter_chat(prompt.text, question) for prompt, question in asked]
        rows: list[FilterDecision] = []
        skipped: list[Skipped] = []
        for (prompt, question), case in zip(asked, ask(self.writer, chats, read_verdict, self.attempts), strict=True):
            if isinstance(case, Unread):
                skipped.append(Skipped(f"{prompt.id}: {question['question']}", self.title(), str(case)))
                case = UNREAD
            rows.append(FilterDecision(prompt.id, question["question"], case))
        return rows, skipped

    def _keep(self, _: int, prompts: Sequence[tuple[PromptRow, list[FilterDecision]]]) -> Shard:
        rows: list[PromptRow] = []
        skipped: list[Skipped] = []
        for prompt, verdicts in prompts:
            kept = [q for q, verdict in zip(_questions(prompt), verdicts, strict=True) if not verdict.case]
            if not kept:
                reasons = ", ".join(f"{v.question} ({v.case})" for v in verdicts) or "it had none"
                skipped.append(Skipped(prompt.id, self.title(), f"no question is left: {reasons}"))
            else:
                rows.append(replace(prompt, metadata={**prompt.metadata, "questions": _without_lost(kept)}))
        return rows, skipped


def _noun(row: PromptRow) -> Prompt:
    return Prompt(row.id, row.text, row.subject, row.metadata)


def _questions(prompt: PromptRow) -> list[dict[str, Any]]:
    return prompt.metadata.get("questions") or []


def _each_question(prompts: Path) -> Iterator[tuple[PromptRow, dict[str, Any]]]:
    return ((prompt, question) for prompt in read(prompts, PromptRow) for question in _questions(prompt))


def _with_verdicts(prompts: Path, verdicts: Path) -> Iterator[tuple[PromptRow, list[FilterDecision]]]:
    rows = read(verdicts, FilterDecision)  # in the order of the questions
    return ((prompt, list(islice(rows, len(_questions(prompt))))) for prompt in read(prompts, PromptRow))


def _without_lost(questions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Questions that depend only on one another."""
    ids = {q["id"] for q in questions if "id" in q}
    return [{**q, "parents": [p for p in q.get("parents", ()) if p in ids]} if "id" in q else q for q in questions]
