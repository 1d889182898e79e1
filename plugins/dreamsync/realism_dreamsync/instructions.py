"""What a language model is asked at each of the paper's three stages. Source: DreamSync, section 4.1 and appendix A.1;
the rules are the paper's, the wording is ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from realism.parts import Chat

from realism_dreamsync.formats import (
    ANSWERABLE,
    CASES,
    TYPES,
    Malformed,
    Question,
    write_graph,
    write_prompts,
    write_questions,
)

Form = Literal["tifa", "dsg"]
CATEGORIES = (
    "object", "animal/human", "food", "activity", "attribute", "counting", "color", "material", "spatial", "location",
    "shape", "other",
)  # fmt: skip
"""The twelve of TIFA (Hu et al. 2023)."""

PROMPTS = """You write prompts for text-to-image models, in the manner of the examples.
1. Describe what can be seen.
2. Nothing frightening.
3. Copy no example.
4. Be inventive.
5. No two prompts alike.
6. Vary them widely.
7. Write a numbered list and nothing else."""
QUESTIONS = f"""You write questions that check whether a picture shows what a text says.
Go through the text. For each thing in it write one or two multiple-choice questions, one a line:
element | type | question | choices | answer
element: the words of the text that are asked for.
type: {", ".join(TYPES)}.
choices: yes; no, or several short ones that exclude each other. answer: the choice that is true of the text."""
GRAPH = """You take a text apart into the smallest facts that a picture of it must show.
Write three blocks of lines, each line with the fact's id.
tuples: type (element). Types: entity - whole, entity - part, attribute - color, attribute - state, relation - spatial,
relation - action, other - count, global, and the like.
dependencies: the ids without which the fact means nothing, or 0.
questions: a question that is answered yes if the picture shows the fact."""
FILTER = f"""A question about a picture of the text is to be kept or left out. Reply with one of these:
{ANSWERABLE}: the text gives exactly one of the choices.
{CASES[0]}: more than one choice is true of the text.
{CASES[1]}: the text leaves the answer vague.
{CASES[2]}: the answer does not answer the question, or the text does not say it."""


@dataclass(frozen=True)
class Demonstration:
    """A text, and the questions that a model should write of it."""

    text: str
    questions: Sequence[Question]


def prompts_chat(examples: Sequence[str], category: str, count: int, words: int, number: int) -> Chat:
    """Asks for so many prompts of about so many words. number distinguishes chats with the same examples."""
    text = (
        f"Examples:\n{write_prompts(examples)}\n\n"
        f"List {number}: {count} prompts of about {words} words. What matters in them: {category}."
    )
    return Chat(text, system=PROMPTS)


def questions_chat(text: str, form: Form, demonstrations: Sequence[Demonstration]) -> Chat:
    """Asks for the questions of a text."""
    write = write_questions if form == "tifa" else write_graph
    shown = "".join(f"Text: {d.text}\n{write(d.questions)}\n\n" for d in demonstrations)
    return Chat(f"{shown}Text: {text}", system=QUESTIONS if form == "tifa" else GRAPH)


def filter_chat(text: str, question: Mapping[str, Any]) -> Chat:
    """Asks whether one question of a text can be answered."""
    asked = f"Question: {question['question']}\nChoices: {'; '.join(question['choices'])}\nAnswer: {question['answer']}"
    return Chat(f"Text: {text}\n{asked}", system=FILTER)


def again(chat: Chat, attempt: int, reason: Malformed) -> Chat:
    """The same, asked once more, with what was wrong with the last reply. attempt: from 2; another number gets another
    reply from a model that draws its words."""
    return replace(chat, text=f"{chat.text}\n\n(Attempt {attempt}; the last reply could not be read: {reason}.)")
