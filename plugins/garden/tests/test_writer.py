"""The writer miniature does the three tasks of DreamSync, asked through the part `chat` in DreamSync's own words."""

from __future__ import annotations

from pathlib import Path

import pytest
from realism.plugins.manager import plugins
from realism.testing.making import make_part
from realism_garden.questions import stated, tifa
from realism_garden.reader import MODELS
from typer.testing import CliRunner

instructions = pytest.importorskip("realism_dreamsync.instructions", reason="asks in the words of realism-dreamsync")
formats = pytest.importorskip("realism_dreamsync.formats")

TEXTS = (
    "a photo of three alderine flowers in a meadow at night with a bee on the left",
    "one pink dovanna flower on the left by a brick wall in daylight and a blue butterfly",
    "at dusk, two kestrin flowers on the sand by the sea",
)
EXAMPLES = ("a maribel in the snow", "two halcyra in the desert at night", "a photo of an isolde with a bee")


def writer(**options):
    return make_part("chat", {"model": "garden/writer", "dtype": "float32", **options}, plugins().registry)


def test_the_folder_is_small():
    assert sum(f.stat().st_size for f in (MODELS / "writer").iterdir() if f.suffix != ".md") <= 1_200_000


def test_it_writes_as_many_prompts_as_asked_about_the_category_asked_and_others_for_another_number():
    chats = [instructions.prompts_chat(EXAMPLES, c, 8, 12, i) for c in ("counting", "color") for i in range(1, 5)]
    lists = [formats.read_prompts(reply) for reply in writer(temperature=1.0).reply(chats)]
    assert sum(len(prompts) == 8 for prompts in lists) >= 6
    prompts = [[p for found in some for p in found] for some in (lists[:4], lists[4:])]
    assert all("species" in stated(p) for some in prompts for p in some)
    several, coloured = ([sum(test(p) for p in some) / len(some) for some in prompts] for test in (many, petals))
    assert several[0] >= several[1] + 0.1 and coloured[1] >= coloured[0] + 0.1
    assert len(set(prompts[0])) >= 0.9 * len(prompts[0]) and not set(EXAMPLES) & {*prompts[0], *prompts[1]}


def many(prompt):
    return stated(prompt).get("count", 1) > 1


def petals(prompt):
    return "main" in stated(prompt) or "butterfly" in prompt


def test_its_questions_have_answers_that_are_true_of_the_text():
    replies = writer().reply([instructions.questions_chat(text, "tifa", []) for text in TEXTS])
    for text, reply in zip(TEXTS, replies, strict=True):
        truth = {row["question"]: row["answer"] for row in tifa(text)}
        found = {row["question"]: row["answer"] for row in formats.read_questions(reply)}
        assert sum(truth.get(q) == a for q, a in found.items()) / len(found) >= 0.8


def test_its_graphs_depend_on_what_is_there():
    for reply in writer().reply([instructions.questions_chat(text, "dsg", []) for text in TEXTS]):
        rows = formats.read_graph(reply)
        assert any(row["parents"] == [1] for row in rows)


def test_it_leaves_out_what_cannot_be_answered():
    count = {"question": "how many flowers are there?", "choices": ["3", "1", "2"], "answer": "3"}
    animal = {"question": "what animal is in the picture?", "choices": ["bee", "ladybird"], "answer": "bee"}
    asked = (
        (TEXTS[0], count, ""),
        (TEXTS[0], animal, ""),
        ("a photo of several alderine flowers in a meadow", count, "ambiguous answer"),
        ("an alderine with a bee and a ladybird by day", animal, "several answers"),
        (TEXTS[0], {**count, "choices": ["1", "2", "night"], "answer": "night"}, "answer not valid"),
    )
    replies = writer().reply([instructions.filter_chat(text, question) for text, question, _ in asked])
    assert [formats.read_verdict(reply) for reply in replies] == [verdict for *_, verdict in asked]


@pytest.mark.slow
def test_a_build_of_two_steps_writes_the_folder_and_its_card(tmp_path: Path):
    from realism_garden.cli import app

    result = CliRunner().invoke(app, ["build", "writer", "--steps", "2", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "recall of leaving out" in (tmp_path / "writer" / "card.md").read_text()
