"""Replies of language models: what is written can be read, what real models put around it is passed over, and what
cannot be read has one reason."""

from __future__ import annotations

import random

import pandas as pd
import pytest
from realism_dreamsync.demonstrations import demonstrations
from realism_dreamsync.formats import (
    CASES,
    TYPES,
    Malformed,
    read_graph,
    read_prompts,
    read_questions,
    read_verdict,
    write_graph,
    write_prompts,
    write_questions,
    write_verdict,
)
from realism_dreamsync.near_duplicates import Unlike, overlap, word_pairs
from realism_dreamsync.statistics import statistics

FLOWERS = {
    "question": "what is in the field?", "choices": ["flowers", "grass", "trees", "rocks"], "answer": "flowers",
    "element": "flowers", "element_type": "object",
}  # fmt: skip
FIELD = {
    "question": "is there a field?", "choices": ["yes", "no"], "answer": "yes", "element": "field",
    "element_type": "location",
}  # fmt: skip
WORDS = ("red", "blue", "green", "rose", "daisy", "bee", "in", "on", "a", "the")
GRAPH = [{**FIELD, "id": 1, "parents": []}, {**FIELD, "question": "is it green?", "id": 2, "parents": [1]}]


def test_what_is_written_is_read_back():
    assert read_prompts(write_prompts(["a rose", "two bees"])) == ["a rose", "two bees"]
    assert read_questions(write_questions([FLOWERS, FIELD])) == [FLOWERS, FIELD]
    assert read_graph(write_graph(GRAPH)) == GRAPH
    assert [read_verdict(write_verdict(case)) for case in ("", *CASES)] == ["", *CASES]


@pytest.mark.parametrize(
    "reply",
    [
        "Sure! Here are the questions:\n\n1. flowers | object | what is in the field? | flowers; grass; trees; rocks | "
        "flowers\n2. field | location | is there a field? | yes; no | yes\n\nI hope this helps.",
        "| Element | Type | Question | Choices | Answer |\n|---|:---:|---|---|---|\n"
        "| **flowers** | Object | what is in the field? | flowers, grass, trees, rocks | Flowers |\n"
        "| field | place | is there a field? | yes, no | yes |",
        '- "flowers" | object | what is in the field? | ["flowers", "grass", "trees", "rocks"] | "flowers"\n'
        "- field | location | is there a field? | yes; no | yes\n- field | location | Is there a field? | yes; no | no",
    ],
)
def test_what_chat_models_put_around_questions_is_passed_over(reply):
    assert read_questions(reply) == [FLOWERS, FIELD]


def test_a_line_that_cannot_be_read_costs_no_more_than_itself_unless_half_of_them_cannot():
    cut = write_questions([FLOWERS, FIELD]) + "\nflowers | object | what is"
    assert read_questions(cut) == [FLOWERS, FIELD]
    with pytest.raises(Malformed, match="3 stand in: flowers"):
        read_questions(cut + "\nflowers | object")


def test_what_chat_models_put_around_lists_graphs_and_verdicts_is_passed_over():
    assert read_prompts('Here you go:\n\n1) "A rose."\n2) **Two  bees**\n2) Two bees\nEnjoy!') == [
        "A rose.",
        "Two bees",
    ]
    assert read_prompts("- a rose\n- two bees") == ["a rose", "two bees"]
    assert read_graph("Here:\n\n**Tuples:**\n" + write_graph(GRAPH).partition("\n")[2] + "\nDone.") == GRAPH
    assert read_verdict("**Several answers**: black and white are both answers, so it is ambiguous.") == CASES[0]
    assert read_verdict("This question is answerable.") == ""


@pytest.mark.parametrize(
    ("read", "reply", "reason"),
    [
        (read_prompts, "I cannot help with that.", "no numbered list"),
        (read_questions, "What is in the field?", "no line of the form: element | type"),
        (read_questions, "flowers | object | what is it?", "5 fields are expected, separated by '|', but 3 stand in"),
        (read_questions, "flowers | thing | what is it? | a; b | a", "'thing' is no type; types are object, human"),
        (read_questions, "flowers | object | what is it? | a; b | c", "the answer is none of the choices"),
        (read_questions, "flowers | object | what is it? | a | a", "two or more different choices"),
        (read_questions, "flowers | object | what is it? | yes; no; maybe | yes", "beside yes and no"),
        (read_graph, "tuples:\n1 | object (rose)\nquestions:\n1 | a?", "no block 'dependencies:'"),
        (read_graph, write_graph(GRAPH).replace("2 | 1", "2 | 7"), "id 2 depends on '7', which is no id"),
        (read_graph, write_graph(GRAPH).replace("1 | 0", "1 | 2"), "id 1 depends on itself"),
        (read_graph, write_graph(GRAPH).replace("2 | is it green?", ""), "id 2 stands in one of the blocks"),
        (read_graph, write_graph(GRAPH).replace("2 | is", "1 | is"), "id 1 stands twice in the block 'questions'"),
        (read_verdict, "It is not answerable.", "exactly one of 'answerable'"),
        (
            read_verdict,
            "ambiguous answer or several answers, answerable too".replace("ambiguous", "An ambiguous"),
            "one",
        ),
    ],
)
def test_a_malformed_reply_has_one_reason(read, reply, reason):
    with pytest.raises(Malformed, match=reason.replace("|", r"\|").replace("(", r"\(")) as said:
        read(reply)
    assert "\n" not in str(said.value)


def test_the_demonstrations_are_as_the_paper_has_them():
    """Fifteen texts with about ten questions each, of every type."""
    shown = demonstrations(None, "tifa", 99)
    assert len(shown) == 15
    assert 9 <= sum(len(one.questions) for one in shown) / 15 <= 11
    assert {q["element_type"] for one in shown for q in one.questions} == set(TYPES)
    assert len(demonstrations(None, "dsg", 2)) == 2


def test_the_published_questions_of_dsg_can_be_read_and_written(data):
    """All but twelve items, whose dependencies are malformed as published: words among the ids, or a circle."""
    table = pd.read_csv(data / "dsg" / "dsg-1k-anns.csv", dtype=str, keep_default_na=False)
    unread = 0
    for _, rows in table.groupby("item_id"):
        columns = {"tuples": "tuple", "dependencies": "dependency", "questions": "question_natural_language"}
        blocks = ([f"{name}:", *map("{} | {}".format, rows.proposition_id, rows[c])] for name, c in columns.items())
        try:
            questions = read_graph("\n".join(line for block in blocks for line in block))
        except Malformed:
            unread += 1
            continue
        assert [q["question"] for q in questions] == rows.question_natural_language.str.strip().tolist()
        assert read_graph(write_graph(questions)) == questions
    assert unread == 12


def test_near_duplicates_are_found_as_by_comparing_all_with_all():
    rng = random.Random(0)
    texts = [" ".join(rng.choices(WORDS, k=rng.randint(1, 7))) for _ in range(200)]
    for least in (0.3, 0.7, 1.0):
        unlike, kept = Unlike(least), []
        for text in texts:
            expected = all(overlap(word_pairs(text), word_pairs(other)) < least for other in kept)
            assert unlike.add(text) is expected, text
            kept += [text] * expected


def test_the_statistics_of_the_papers_example():
    """Table 4: nine questions, counted by hand."""
    flowers, field = {**FLOWERS}, {**FIELD}
    sheep = {**FIELD, "element": "sheep", "element_type": "animal"}
    six = {**FLOWERS, "choices": ["5", "6"], "element": "6", "element_type": "counting"}
    text = "6 baseball players, each holding a sheep, and they are all standing in a field of flowers"
    found = statistics(
        [(text, [flowers, field, sheep, six, {**six, "element": "Sheep", "element_type": "animal"}]), ("a rose", [])]
    )
    assert (found.prompts, found.questions, found.binary, found.multiple_choice) == (2, 5, 2, 3)
    assert (found.questions_per_prompt, found.words_per_prompt, found.elements_per_prompt) == (2.5, 9.5, 2.0)
    assert found.sources == {"animal": 1, "counting": 1, "location": 1, "object": 1}
