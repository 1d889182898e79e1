"""The step `write_questions`: a language model writes questions that check pictures of the prompts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

from annotated_types import Ge
from realism.base.tables import chunks, count_rows, read
from realism.data.rows import Aside, PromptRow
from realism.data.state import State
from realism.parts import LanguageModel, Prompts
from realism.parts.step import Step
from realism.run.work import Work

from realism_dreamsync.asking import Unread, ask
from realism_dreamsync.demonstrations import demonstrations
from realism_dreamsync.formats import read_graph, read_questions
from realism_dreamsync.instructions import Demonstration, Form, questions_chat
from realism_dreamsync.telling import exhibits_slot, tell


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
    shown: Annotated[int, Ge(0)] = 15
    """How many of the demonstrations to show, the first ones."""
    attempts: Annotated[int, Ge(1)] = 3
    """How often to ask for a prompt's questions before the prompt is set aside."""
    shard: Annotated[int, Ge(1)] = 64
    """How many prompts are asked about, and written down, at a time."""

    seeded = False

    def title(self) -> str:
        return "write_questions"

    def missing(self, there: Collection[str]) -> list[str]:
        return [] if "prompts" in there else [prompts_missing("write_questions")]

    def reads(self, there: Collection[str]) -> list[str]:
        return ["prompts"]

    def makes(self, there: Collection[str]) -> list[str]:
        return ["prompts", exhibits_slot(there)]

    def run(self, state: State, work: Work) -> Mapping[str, Path]:
        shown = demonstrations(self.demonstrations, self.form, self.shown)
        prompts = state.path("prompts")
        table = work.map(
            chunks(read(prompts, PromptRow), self.shard), partial(self._write, shown), PromptRow, "prompts",
            total=count_rows(prompts), unit="prompts",
        )  # fmt: skip
        return {"prompts": table, exhibits_slot(state): tell(table, work)}

    def _write(
        self, shown: Sequence[Demonstration], _: int, prompts: list[PromptRow]
    ) -> tuple[Sequence[PromptRow], Sequence[Aside]]:
        read_reply = read_questions if self.form == "tifa" else read_graph
        chats = [questions_chat(prompt.text, self.form, shown) for prompt in prompts]
        rows: list[PromptRow] = []
        aside: list[Aside] = []
        for prompt, found in zip(prompts, ask(self.writer, chats, read_reply, self.attempts), strict=True):
            if isinstance(found, Unread):
                aside.append(Aside(prompt.id, self.title(), str(found)))
            else:
                rows.append(replace(prompt, metadata={**prompt.metadata, "questions": found}))
        return rows, aside


def prompts_missing(step: str) -> str:
    """What a step says that needs prompts and finds none."""
    return f"{step} needs prompts: give the recipe the key 'prompts', or put a step 'write_prompts' before this"
