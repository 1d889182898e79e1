"""The prompts of TIFA, DSG and T2I-CompBench, from small files of their forms and from the published ones."""

from __future__ import annotations

import json
import logging
from collections import Counter

import pytest
from realism import Prompt, RealismError
from realism.data.rows import PromptRow
from realism_dreamsync.benchmarks import Dsg, T2iCompBench, Tifa
from realism_dreamsync.published import write_published
from realism_rewards.questions import questions_of

TEXTS = [
    {"id": "coco_3", "caption": "a grey cat", "coco_val_id": "7"},
    {"id": "drawbench_1", "caption": "two dogs"},
]
ASKED = {"question": "what animal?", "choices": ["cat", "dog"], "answer": "cat", "element": "cat"}
ASKED |= {"element_type": "animal/human"}


def write(path, rows):
    path.write_text(json.dumps(rows))
    return str(path)


@pytest.fixture
def tifa(tmp_path):
    """A folder with two captions."""
    write(tmp_path / "tifa_v1.0_text_inputs.json", TEXTS)
    return tmp_path


def test_tifa_gives_its_captions_with_their_sources(tifa):
    wanted = [
        Prompt("coco_3", "a grey cat", "", {"coco_val_id": "7", "source": "coco"}),
        Prompt("drawbench_1", "two dogs", "", {"source": "drawbench"}),
    ]
    assert list(Tifa(str(tifa)).prompts()) == wanted
    assert list(Tifa(str(tifa / "tifa_v1.0_text_inputs.json"), sources=["drawbench"]).prompts()) == wanted[1:]


@pytest.mark.parametrize("where", ["beside", "elsewhere", "alone"])
def test_with_tifas_questions_only_captions_that_have_some_are_drawn(tifa, where):
    name = "tifa_v1.0_question_answers.json" if where == "beside" else "mine.json"
    asked = write(tifa / name, [TEXTS[0] | ASKED])
    part = Tifa(asked) if where == "alone" else Tifa(str(tifa), questions=asked if where == "elsewhere" else "")
    assert [(p.id, p.metadata) for p in part.prompts()] == [
        ("coco_3", {"coco_val_id": "7", "source": "coco", "questions": [ASKED]})
    ]
    assert tifa / name in part.inputs()


@pytest.mark.parametrize(
    ("texts", "asked", "sentence"),
    [
        (TEXTS * 2, [], r"inputs\.json, object 3: id 'coco_3' stands twice"),
        ({"id": "coco_3"}, [], "expected a list of objects with id and caption"),
        ([{"id": "coco_3"}], [], "object 1: no caption"),
        (TEXTS, [{"id": "coco_9", "caption": "a"} | ASKED], r"q\.json, object 1: a question on 'coco_9', which is no"),
        (TEXTS, [TEXTS[0] | {"question": "what?"}], "object 1: a question without choices"),
    ],
)
def test_a_file_that_is_not_as_tifas_is_named_with_the_place(tifa, texts, asked, sentence):
    write(tifa / "tifa_v1.0_text_inputs.json", texts)
    part = Tifa(str(tifa), questions=write(tifa / "q.json", asked))
    with pytest.raises(RealismError, match=sentence):
        list(part.prompts())


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        (lambda folder: Tifa(str(folder / "x")), "no file '.*x': .* of the repository Yushi-Hu/tifa"),
        (lambda folder: Dsg(str(folder)), "no file '.*dsg-1k-anns.csv': .* is in the repository j-min/DSG"),
        (lambda folder: T2iCompBench(str(folder)), "no file '.*color_val.txt': .* Karine-Huang/T2I-CompBench"),
        (lambda folder: T2iCompBench(str(folder), ["shape"], "train"), "no file '.*shape_train.txt'"),
        (lambda folder: Tifa(str(folder), sources=["cocoa"]), "no prompt of source 'cocoa'; .* did you mean 'coco'"),
    ],
)
def test_what_is_not_there_is_said_with_where_to_find_it(tifa, part, sentence):
    with pytest.raises(RealismError, match=sentence):
        list(part(tifa).prompts())


GRAPH = [
    {"question": "Is there a cat?", "choices": ["yes", "no"], "answer": "yes", "element": "cat",
     "element_type": "entity - whole", "id": 1, "parents": []},
    {"question": "Is it a sketch?", "choices": ["yes", "no"], "answer": "yes", "element": "sketch",
     "element_type": "global", "id": 2, "parents": []},
    {"question": "Is the cat grey?", "choices": ["yes", "no"], "answer": "yes", "element": "cat, grey (dark)",
     "element_type": "attribute - color", "id": 3, "parents": [1, 2]},
]  # fmt: skip


def test_questions_that_were_written_in_the_published_forms_are_read_again(tmp_path):
    as_dsg = PromptRow("whoops_5", "a grey cat", "", {"questions": GRAPH})
    part = Dsg(str(write_published([as_dsg], tmp_path)))
    wanted = {"source": "whoops", "category": "defying", "questions": GRAPH}
    assert list(part.prompts()) == [Prompt("whoops_5", "a grey cat", "", wanted)]

    as_tifa = PromptRow("my_5", "a grey cat", "", {"questions": [ASKED]})
    part = Tifa(str(write_published([as_tifa], tmp_path)))
    assert list(part.prompts()) == [Prompt("my_5", "a grey cat", "", {"source": "my", "questions": [ASKED]})]

    for mixed in ([as_dsg, as_tifa], [as_tifa, as_dsg]):
        with pytest.raises(RealismError, match="some questions have an 'id', as DSG's, and some have none"):
            write_published(mixed, tmp_path)


def test_t2i_compbench_gives_a_prompt_a_line(tmp_path):
    (tmp_path / "color_val.txt").write_text("a red cup\tseen\n\na blue cat\n")
    (tmp_path / "shape_val.txt").write_text("a round table\n")
    (tmp_path / "color_val_seen.txt").write_text("a red cup\n")
    found = list(T2iCompBench(str(tmp_path)).prompts())
    assert [(p.id, p.text, p.metadata["category"]) for p in found] == [
        ("color_val_00001", "a red cup", "color"),
        ("color_val_00003", "a blue cat", "color"),
        ("shape_val_00001", "a round table", "shape"),
    ]
    assert list(T2iCompBench(str(tmp_path), ["shape"]).prompts()) == found[2:]


def test_the_published_captions_of_tifa_are_read(data):
    found = list(Tifa(str(data / "tifa" / "tifa_v1.0")).prompts())
    sources = Counter(p.metadata["source"] for p in found)
    assert sources == {"coco": 2000, "partiprompt": 1420, "paintskill": 500, "drawbench": 161}
    sample = data / "tifa" / "sample"
    part = Tifa(str(sample / "sample_text_inputs.json"), str(sample / "sample_question_answers.json"))
    assert [(p.id, len(questions_of(p))) for p in part.prompts()] == [("coco_301091", 11), ("drawbench_52", 8)]


def test_the_published_prompts_of_dsg_are_read_and_what_is_broken_in_them_is_counted(data, caplog):
    with caplog.at_level(logging.WARNING, "realism"):
        found = list(Dsg(str(data / "dsg")).prompts())
    assert "dependencies of 9 of 1060 prompts are left out" in caplog.text
    assert len(found) == 1060 and sum(len(questions_of(p)) for p in found) == 8182
    assert Counter(p.metadata["category"] for p in found)["real_user"] == 200
    assert len(list(Dsg(str(data / "dsg"), ["pose", "text"]).prompts())) == 200
