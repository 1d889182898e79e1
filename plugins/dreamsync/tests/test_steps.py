"""Prompts, questions and their filter, in a world where the writer knows four colours and will not speak of blue at
once."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint

import pandas as pd
import pytest
from realism.base.errors import RealismError, RecipeError
from realism.plugins.manager import Plugins, installed
from realism.recipe.recipe import read_recipe
from realism.runs.progress import View
from realism.runs.run import Run

RECIPE = """\
limits: {skipped: 0.9}
parts:
  writer: {use: toy_writer}
steps:
  - write_prompts: {count: 18, alike: 1.0, shard: 2}
  - write_questions: {shard: 4}
  - filter_questions: {shard: 5}
"""
WRITE = RECIPE.partition("  - write_questions")[0]
PICTURES = RECIPE + "  - generate: {generator: toy}\n  - report: {}\n"


@pytest.fixture
def do(toy_plugins, tmp_path):
    """Carry out a recipe; the same `out` goes on with the same run."""
    plugins = Plugins([*toy_plugins_points(), EntryPoint("toys_dreamsync", "toys_dreamsync", "realism")])

    def carry_out(text: str = RECIPE, *overrides: str, out: str = "run") -> Run:
        path = tmp_path / "recipe.yaml"
        path.write_text(text)
        made = Run(read_recipe(str(path), list(overrides), plugins.registry), tmp_path / out, plugins, View(quiet=True))
        made.execute()
        return made

    return carry_out


def toy_plugins_points() -> list[EntryPoint]:
    return [*installed(), EntryPoint("toys", "toys", "realism")]


def folder(run, step):
    return next(run.folder.glob(f"steps/{step}-*"))


def table(run, step, name="prompts"):
    found = pd.read_parquet(folder(run, step) / name)
    if "metadata" in found:
        found["questions"] = [json.loads(m).get("questions") for m in found.metadata]
    return found


def test_from_nothing_to_pictures(do):
    run = do(PICTURES)
    prompts, asked, kept = (table(run, f"{verb}") for verb in ("write-prompts", "write-questions", "filter-questions"))
    assert len(prompts) == 18 and prompts.text.is_unique and prompts.id.is_unique
    categories = {json.loads(m)["category"] for m in prompts.metadata}
    assert len(categories) > 1
    assert asked.text.tolist() == prompts.text.tolist()
    assert [q["question"] for q in asked.questions[0]] == ["is there a square?", "which color is it?"]
    assert kept.text.tolist() == [t for t in asked.text if "grey" not in t]
    assert all([q["question"] for q in questions] == ["which color is it?"] for questions in kept.questions)
    page = (run.folder / "report.html").read_text()
    assert "which color is it?" in page and "Left out: ambiguous answer" in page


def test_the_questions_are_written_as_the_benchmarks_publish_theirs(do, data):
    published = json.loads((data / "tifa" / "sample" / "sample_question_answers.json").read_text())
    ours = json.loads((folder(do(), "filter-questions") / "tifa.json").read_text())
    assert {name: type(v) for name, v in ours[0].items()} == {
        n: type(v) for n, v in published[0].items() if n in ours[0]
    }
    assert set(published[0]) - set(ours[0]) == {"coco_val_id"}
    run = do(RECIPE.replace("write_questions: {", "write_questions: {form: dsg, "), out="dsg")
    theirs = pd.read_csv(data / "dsg" / "dsg-1k-anns.csv")
    ours = pd.read_csv(folder(run, "write-questions") / "dsg.csv", dtype={"item_id": str})
    assert list(ours.columns) == list(theirs.columns)
    assert ours.iloc[1, 2:].tolist()[1:5] == [2, 1, "attribute", "color"]
    filtered = table(run, "filter-questions").questions
    assert all(q["parents"] == [] for questions in filtered for q in questions), "their root was left out"


def test_statistics_tell_what_was_left_out(do):
    told = json.loads((folder(do(), "filter-questions") / "statistics.json").read_text())
    grey = 18 - told["prompts"]
    assert told["questions"] == told["multiple_choice"] == told["prompts"]
    assert told["left_out"] == {"ambiguous answer": 18 + grey}
    assert told["elements_per_prompt"] == 1.0


def test_a_malformed_reply_is_asked_for_again_and_then_skipped_with_the_reply(do):
    assert any("blue" in text for text in table(do(), "write-questions").text)
    run = do(RECIPE.replace("toy_writer", "toy_writer, stubborn: true"), out="stubborn")
    skipped = table(run, "write-questions", "skipped/prompts")
    assert not any("blue" in text for text in table(run, "write-questions").text)
    assert skipped.reason[0] == (
        "the reply cannot be read: it has no line of the form: element | type | question | choices | answer; it was: "
        "'I would rather not speak of blue.'"
    )


def test_no_prompt_is_like_another_or_like_a_seed_prompt(do, tmp_path):
    (tmp_path / "seeds.txt").write_text("a red square in a cave\na green square in a castle\n")
    seeds = f"{{use: prompt_file, path: {tmp_path}/seeds.txt}}"
    run = do(WRITE.replace("alike: 1.0", f"alike: 1.0, seeds: {seeds}"))
    assert not {"a red square in a cave", "a green square in a castle"} & set(table(run, "write-prompts").text)
    assert len(table(run, "write-prompts", "lists")) >= 2
    loose = do(WRITE.replace("alike: 1.0", "alike: 0.4"), out="loose")
    assert 1 < len(table(loose, "write-prompts")) < 18, "so few differ by as much"


def test_another_seed_gives_other_prompts_and_the_same_seed_the_same(do):
    first, same, other = (
        table(do(WRITE, f"seed={seed}", out=out), "write-prompts").text.tolist()
        for seed, out in ((0, "a"), (0, "b"), (1, "c"))
    )
    assert first == same != other


def test_a_step_that_was_stopped_goes_on_and_ends_alike(do, monkeypatch):
    from toys_dreamsync import ToyWriter

    whole = do(out="whole")
    reply, calls = ToyWriter.reply, []

    def stopping(self, chats):
        calls.append(len(chats))
        if len(calls) in (2, 5, 8):
            raise KeyboardInterrupt
        return reply(self, chats)

    monkeypatch.setattr(ToyWriter, "reply", stopping)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            do(out="stopped")
    again = do(out="stopped")
    for path in folder(whole, "filter-questions").rglob("*.parquet"):
        other = folder(again, "filter-questions") / path.relative_to(folder(whole, "filter-questions"))
        assert other.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            ("  - write_prompts: {count: 18, alike: 1.0, shard: 2}\n", ""),
            "no prompts; give the recipe the key 'prompts'",
        ),
        (("count: 18", "words: [9, 3]"), "words [9, 3] is no range"),
        (("count: 18", "categories: []"), "categories is empty"),
        (("shard: 4", "form: tiffa"), "form"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused_at_once(do, change, sentence):
    with pytest.raises(RecipeError) as said:
        do(RECIPE.replace(*change))
    assert sentence in str(said.value)


def test_prompts_without_questions_and_demonstrations_without_questions_are_named(do, tmp_path):
    with pytest.raises(RealismError, match="no prompt has questions; put a step 'write_questions' before"):
        do(RECIPE.replace("  - write_questions: {shard: 4}\n", ""))
    with pytest.raises(RealismError, match="demonstration 'p000' needs 'questions' as in TIFA's files in its metadata"):
        do(RECIPE.replace("shard: 4", "demonstrations: {use: toy_prompts}"), out="other")
