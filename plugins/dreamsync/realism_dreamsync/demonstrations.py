"""Texts with the questions that a model should write of them: the plugin's own, or those of a source of prompts."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from realism.base.errors import RealismError
from realism.data.types import Prompt
from realism.parts import Prompts
from realism.sources.prompt_file import PromptFile

from realism_dreamsync.formats import Malformed, read_graph, read_questions, write_graph, write_questions
from realism_dreamsync.instructions import Demonstration, Form

DATA = Path(__file__).parent / "data"


def own(form: Form) -> Prompts:
    """The plugin's own: fifteen texts with about ten questions each in TIFA's form, four in DSG's."""
    return PromptFile(str(DATA / f"{form}.jsonl"))


def demonstrations(source: Prompts | None, form: Form, most: int) -> list[Demonstration]:
    """The first texts of a source, or of the plugin's own, with the questions in their metadata.

    Raises RealismError for a text without questions, or with questions that the form cannot hold.
    """
    return [_demonstration(prompt, form) for prompt in islice((source or own(form)).prompts(), most)]


def seed_texts(source: Prompts | None) -> list[str]:
    """The texts of a source, or of the plugin's own demonstrations."""
    return [prompt.text for prompt in (source or own("tifa")).prompts()]


def _demonstration(prompt: Prompt, form: Form) -> Demonstration:
    write, read = (write_questions, read_questions) if form == "tifa" else (write_graph, read_graph)
    wanted = "'questions' as in TIFA's files" + (", with 'id' and 'parents'" if form == "dsg" else "")
    try:
        return Demonstration(prompt.text, read(write(prompt.metadata["questions"])))
    except Malformed as reason:
        raise RealismError(f"the questions of demonstration '{prompt.id}' cannot be shown: {reason}") from None
    except (KeyError, TypeError):
        raise RealismError(f"demonstration '{prompt.id}' needs {wanted} in its metadata") from None
