"""The step `write_questions`: a language model writes questions that check pictures of the prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

from annotated_types import Ge, Le
from realism.base.tables import chunks, count_rows
from realism.data import artifacts
from realism.data.artifacts import Artifact
from realism.data.rows import PromptRow, Skipped
from realism.parts import LanguageModel, Prompts
from realism.parts.step import Artifacts, Step
from realism.parts.work import Shard, Work

from realism_dreamsync.demonstrations import demonstrations
from realism_dreamsync.formats import read_graph, read_questions
from realism_dreamsync.instructions import Demonstration, Form, questions_chat
from realism_dreamsync.retries import Unread, ask
from realism_dreamsync.summary import questions_shown, write_summary


@dataclass
class WriteQuestions(Step):
    """Let a language model write, for each prompt, questions about what a picture of it must show.

    They stand in the prompt's metadata under `questions`, and in `tifa.json` or `dsg.csv` in the step's folder as the
    benchmarks publish theirs. Source: DreamSync, section 4.1 and appendix A.1; Hu et al. 2023; Cho et al. 2024.
    """

    writer: LanguageModel
    """Writes the questions."""
    form: Form = "tifa"
    """tifa: questions with several choices, or yes and no; dsg: yes-no questions of single facts, with which depends on
    which."""
    demonstrations: Prompts | None = None
    """Prompts with `questions` in their metadata, to show how it is done; by default some that come with the plugin."""
    shown: Annotated[int, Ge(0), Le(1000)] = 15
    """How many of the demonstrations to show, the first ones."""
    attempts: Annotated[int, Ge(1), Le(100)] = 3
    """How often to ask for a prompt's questions before the prompt is skipped."""
    shard: Annotated[int, Ge(1), Le(10_000)] = 64
    """How many prompts are asked about, and written down, at a time."""

    scope = "recipe"

    def title(self) -> str:
        return "write_questions"

    def reads(self, available: Artifacts) -> list[Artifact]:
        return [artifacts.PromptTable()]

    def writes(self, available: Artifacts) -> list[Artifact]:
        return [artifacts.PromptTable(), questions_shown(available)]

    def run(self, work: Work) -> None:
        prompts = artifacts.PromptTable()
        write = partial(self._write, demonstrations(self.demonstrations, self.form, self.shown))
        shards, total = chunks(work.read(prompts), self.shard), count_rows(work.path(prompts))
        write_summary(work.map(prompts, shards, write, total=total, unit="prompts"), work)

    def _write(self, shown: Sequence[Demonstration], _: int, prompts: list[PromptRow]) -> Shard:
        read_reply = read_questions if self.form == "tifa" else read_graph
        chats = [questions_chat(prompt.text, self.form, shown) for prompt in prompts]
        rows: list[PromptRow] = []
        skipped: list[Skipped] = []
        for prompt, found in zip(prompts, ask(self.writer, chats, read_reply, self.attempts), strict=True):
            if isinstance(found, Unread):
                skipped.append(Skipped(prompt.id, self.title(), str(found)))
            else:
                rows.append(replace(prompt, metadata={**prompt.metadata, "questions": found}))
        return rows, skipped
