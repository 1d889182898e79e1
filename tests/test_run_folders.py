"""Each setting has a folder of its own, and `realism runs` lists them."""

from __future__ import annotations

import json
import shutil
import time
from itertools import zip_longest
from pathlib import Path

import filelock
import pytest

LAST_YEAR = "2025-01-01T12:00:00+00:00"

RECIPE = """\
parts: {generator: {use: toy}, colour: {use: toy_colour}}
prompts: {use: toy_prompts, count: 2}
steps: [generate, {score: {rewards: [colour]}}]
"""
SIZES = """\
extends: recipe.yaml
choose: {size: small}
variants: {size: {small: {}, large: {parts: {generator: {size: 16}}}}}
"""


@pytest.fixture
def folder_of(realism):
    """The folder that the command line gives to a recipe with overrides."""
    Path("recipe.yaml").write_text(RECIPE)
    Path("sizes.yaml").write_text(SIZES)

    def carry_out(*arguments: str) -> str:
        code, said = realism("run", *(arguments or ["recipe.yaml"]))
        assert code == 0, said
        return said.split()[0]

    return carry_out


def test_a_recipe_as_it_stands_has_a_folder_of_its_name_however_it_is_edited(folder_of):
    assert folder_of("recipe.yaml") == "runs/recipe"
    Path("recipe.yaml").write_text(RECIPE + "seed: 4\n")
    assert folder_of("recipe.yaml") == "runs/recipe"


def test_each_setting_has_a_folder_of_its_own(folder_of):
    settings = ["generator.size=16", "seed=1", "seeds=2", "prompts.count=3", "steps[0].generate.per_prompt=2"]
    folders = [folder_of("recipe.yaml", one) for one in settings]
    assert len(set(folders)) == len(settings)
    assert all(one.startswith("runs/recipe-") and len(one) == len("runs/recipe-") + 8 for one in folders)


def test_the_same_setting_finds_its_folder_in_whatever_words_it_is_given(folder_of):
    one = folder_of("recipe.yaml", "generator.size=16", "seed=1")
    assert folder_of("recipe.yaml", "seed=1", "parts.generator.size=16") == one
    assert (
        folder_of("recipe.yaml", "seed=0", "generator={use: toy, size: 16}", "seed=1", "colour.use=toy_colour") == one
    )


@pytest.mark.parametrize("same", ["seed=0", "generator.size=8", "limits.skipped=0.5", "description=the same"])
def test_what_changes_nothing_that_is_done_has_no_other_folder(folder_of, same):
    assert folder_of("recipe.yaml", same) == "runs/recipe"


def test_options_of_speed_have_no_other_folder(folder_of, monkeypatch):
    monkeypatch.setattr("toys.ToyGenerator.speed_options", ("pause",))
    assert folder_of("recipe.yaml", "generator.pause=0.001") == "runs/recipe"
    assert folder_of("recipe.yaml", "seed=1", "generator.pause=0.001") == folder_of("recipe.yaml", "seed=1")


def test_what_is_chosen_is_in_the_folders_name(folder_of):
    assert folder_of("sizes.yaml") == folder_of("sizes.yaml", "choose.size=small") == "runs/sizes-small"
    large = folder_of("sizes.yaml", "choose.size=large")
    assert large.startswith("runs/sizes-large-")
    assert large != folder_of("sizes.yaml", "choose.size=large", "seed=1")


def test_a_recipe_that_must_be_filled_in_has_a_folder_a_filling(folder_of):
    Path("open.yaml").write_text(RECIPE.replace("count: 2", "count: '???'"))
    folders = [folder_of("open.yaml", f"prompts.count={n}") for n in (2, 3)]
    assert len(set(folders)) == 2 and all(one.startswith("runs/open-") for one in folders)


def test_another_name_is_another_folder_and_out_is_taken_as_it_is(folder_of):
    assert folder_of("recipe.yaml", "name=mine") == "runs/mine"
    assert folder_of("recipe.yaml", "--out", "here", "seed=1") == "here"


def test_files_and_code_that_change_leave_the_setting_its_folder(folder_of, database, monkeypatch):
    indexed = RECIPE.replace(
        "parts: {", "parts: {photos: {use: image_folder, path: database}, eye: {use: toy_retriever}, "
    )
    Path("recipe.yaml").write_text(indexed.replace("steps: [", "steps: [index, retrieve, "))
    before = folder_of("recipe.yaml", "seed=1")
    shutil.rmtree(database / "blue")
    monkeypatch.setattr("realism.runs.fingerprint.code_of", lambda _: "edited")
    assert folder_of("recipe.yaml", "seed=1") == before


def listed(said: str) -> list[dict[str, str]]:
    """The lines of `realism runs` in a pipe."""
    heading, *lines = said.split("\n")
    return [dict(zip_longest(heading.split("\t"), line.split("\t"), fillvalue="")) for line in lines]


def test_runs_are_listed_with_how_they_stand_newest_first(folder_of, realism, monkeypatch):
    first = folder_of("recipe.yaml")
    record = json.loads(Path(first, "run.json").read_text())
    Path(first, "run.json").write_text(json.dumps(record | {"began": LAST_YEAR, "ended": LAST_YEAR, "seconds": 7384}))
    with monkeypatch.context() as patched:
        patched.setattr("toys.ToyReward.score", lambda *_: 1 / 0)
        assert realism("run", "recipe.yaml", "seed=1", "prompts.count=3", "-q")[0] == 1
    failed, done = listed(realism("runs")[1])
    assert done | {"when": ""} == {
        "run": "runs/recipe", "recipe": "recipe", "state": "done", "when": "", "time": "2 h 03 min", "settings": ""
    }  # fmt: skip
    assert failed["state"].startswith("failed at score: reward 'colour' of plugin 'toys' failed on 3 pictures")
    assert (failed["settings"], failed["recipe"]) == ("seed=1 prompts.count=3", "recipe")
    assert listed(realism("runs", "runs/recipe")[1]) == [done]


def test_a_run_that_was_killed_is_called_so_and_one_at_work_is_not(folder_of, realism):
    file = Path(folder_of("recipe.yaml"), "run.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"state": "at work", "step": "score"}))
    assert [one["state"] for one in listed(realism("runs")[1])] == ["killed at score"]
    with filelock.FileLock(file.with_name(".lock")):
        assert [one["state"] for one in listed(realism("runs")[1])] == ["at work at score"]


TIMES = '{"recipe": "\\u001b[2J", "began": "0001-01-01T00:00:00", "ended": null}'


STEP = '{"steps": [{"title": "x", "folder": "../../..", "fingerprint": "f", "kept": true, "seed": 0}]}'


DAMAGES = ["", "{", "[]", "null", '{"seeds": []}', '{"steps": 5}', TIMES, STEP, "\x00\xff"]


def test_a_damaged_run_is_listed_as_such_beside_the_others(folder_of, realism):
    folder_of("recipe.yaml")
    whole = json.loads(Path("runs/recipe/run.json").read_text())
    for number, damage in enumerate(DAMAGES):
        folder = Path(f"runs/deeper/bad{number}")
        folder.mkdir(parents=True)
        text = json.dumps(whole | json.loads(damage)) if ": " in damage else damage
        (folder / "run.json").write_bytes(text.encode("latin-1"))
    Path("runs/no run").mkdir()
    code, said = realism("runs")
    assert code == 0 and "\x1b" not in said
    bad = [(f"runs/deeper/bad{number}", "damaged") for number in range(len(DAMAGES))]
    assert [(one["run"], one["state"][:7]) for one in listed(said)] == [("runs/recipe", "done"), *bad]


def test_a_folder_that_lost_its_run_json_is_still_listed(folder_of, realism):
    Path(folder_of("recipe.yaml"), "run.json").unlink()
    assert [one["state"][:7] for one in listed(realism("runs")[1])] == ["damaged"]


def test_on_a_terminal_runs_are_a_table(folder_of, realism, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    Path("runs").mkdir()
    assert realism("runs") == (0, "no run in 'runs'")
    folder_of("recipe.yaml", "generator={use: toy, size: 9}")
    said = realism("runs")[1]
    assert "\t" not in said and "'generator={use: toy, size: 9}'" in said


def test_a_thousand_runs_are_listed_in_two_seconds(folder_of, realism):
    record = Path(folder_of("recipe.yaml"), "run.json").read_text()
    for i in range(1000):
        Path(f"runs/{i}/steps/generate").mkdir(parents=True)
        Path(f"runs/{i}/run.json").write_text(record.replace('"done"', '"at work"'))
        Path(f"runs/{i}/.lock").touch()
    began = time.process_time()
    assert len(listed(realism("runs")[1])) == 1001
    assert time.process_time() - began < 2
