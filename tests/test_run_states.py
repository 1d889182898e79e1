"""A run's folder says how the run stands, and is enough to show what it has done."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import kill
import pytest
import toys
from realism import open_run
from realism.base.errors import RealismError
from realism.plugins.manager import Plugins, installed
from realism.runs.lock import in_use
from realism.runs.progress import View
from realism.runs.record import read_record
from realism.runs.stored import write_report
from world import RAG


def refuse(self, pictures):
    raise RealismError("the judge is asleep")


def told(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


def test_a_run_that_is_done_says_when_and_with_which_settings(run, write_recipe):
    folder = run(write_recipe(), "seed=3", "colour={use: toy_bright}").folder
    record = told(folder)
    assert (record["state"], record["step"], record["error"]) == ("done", "", "")
    assert record["overrides"] == ["seed=3", "colour={use: toy_bright}"]
    assert record["began"] <= record["ended"]
    assert read_record(folder).seconds > 0


def test_the_time_of_all_processes_is_added_up(run, write_recipe):
    first = read_record(run(write_recipe()).folder).seconds
    assert read_record(run(write_recipe()).folder).seconds > first


def test_a_run_that_failed_says_why_and_where_and_shows_what_is_done(run, write_recipe, monkeypatch, tmp_path):
    monkeypatch.setattr(toys.ToyReward, "score", refuse)
    with pytest.raises(RealismError, match="asleep"):
        run(write_recipe(RAG.replace("  - report: {}\n", "")))
    record = told(tmp_path / "run")
    assert (record["state"], record["step"], record["error"]) == ("failed", "score", "the judge is asleep")
    assert record["ended"]
    assert [s["title"] for s in record["steps"]][-1] == "generate retrieved"
    page = (tmp_path / "run" / "report.html").read_text()
    assert "step &#39;score&#39;: the judge is asleep" in page
    assert "a red square number 0" in page and page.count("data:image") > 12, "the pictures that are done"


def test_an_error_that_nobody_expected_is_written_down_with_its_class(run, write_recipe, monkeypatch, tmp_path):
    monkeypatch.setattr(toys.ToyReward, "score", lambda self, pictures: 1 / 0)
    with pytest.raises(RealismError):
        run(write_recipe())
    assert "of arm 'none' in step 'score': ZeroDivisionError: division by zero" in told(tmp_path / "run")["error"]


def test_a_run_that_goes_on_and_ends_well_forgets_the_error(run, write_recipe, monkeypatch, tmp_path):
    with monkeypatch.context() as patched, pytest.raises(RealismError):
        patched.setattr(toys.ToyReward, "score", refuse)
        run(write_recipe())
    folder = run(write_recipe()).folder
    assert (told(folder)["state"], told(folder)["error"]) == ("done", "")
    assert "This run stopped" not in (folder / "report.html").read_text()


def test_a_run_that_is_stopped_before_it_has_looked_at_its_steps_still_tells_of_them(
    run, write_recipe, monkeypatch, tmp_path
):
    before = told(run(write_recipe()).folder)["steps"]
    monkeypatch.setattr("realism.runs.run.Run._place", lambda *_: refuse(None, None))
    with pytest.raises(RealismError):
        run(write_recipe())
    assert told(tmp_path / "run")["steps"] == before
    assert open_run(tmp_path / "run")["samples"].to_pandas().arm.nunique() == 2


def test_what_was_done_by_another_recipe_is_not_told_of_a_run_that_was_stopped(
    run, write_recipe, monkeypatch, tmp_path
):
    run(write_recipe())
    monkeypatch.setattr(toys.ToyReward, "score", refuse)
    with pytest.raises(RealismError):
        run(write_recipe(RAG.replace("{use: toy}", "{use: toy, size: 9}")))
    assert {step["title"] for step in told(tmp_path / "run")["steps"]} == {
        "index retriever", "prompts", "generate none", "retrieve retriever", "generate retrieved"
    }  # fmt: skip


def test_looking_at_a_run_writes_nothing_but_the_report(run, write_recipe, toy_plugins):
    folder = run(write_recipe()).folder
    shutil.rmtree(folder / "embeddings")
    write_report(folder, toy_plugins.registry, View(quiet=True))
    assert not (folder / "embeddings").exists()


def test_a_report_that_cannot_be_written_hides_no_error(run, write_recipe, monkeypatch, tmp_path):
    monkeypatch.setattr(toys.ToyReward, "score", refuse)
    monkeypatch.setattr("realism.report.build.build", lambda *_: 1 / 0)
    with pytest.raises(RealismError, match="asleep"):
        run(write_recipe())
    assert told(tmp_path / "run")["state"] == "failed"


def test_a_run_that_the_user_stops_is_called_stopped(run, write_recipe, monkeypatch, tmp_path):
    def stop(self, pictures):
        raise KeyboardInterrupt

    monkeypatch.setattr(toys.ToyReward, "score", stop)
    with pytest.raises(KeyboardInterrupt):
        run(write_recipe())
    record = told(tmp_path / "run")
    assert (record["state"], record["step"], record["error"]) == ("stopped", "score", "")


def test_a_report_needs_the_folder_alone(run, write_recipe, database, tmp_path):
    """Moved, and without the recipe's file, its database, and the plugin that it was made with."""
    recipe = write_recipe(RAG.replace("report: {}", "report: {prompts: 2}") + "seeds: 2\n")
    before = run(recipe).folder
    shown = (before / "report.html").read_text()
    recipe.unlink()
    shutil.rmtree(database)
    shutil.move(before, tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "report.html").unlink()
    core = Plugins([point for point in installed() if point.name == "core"])
    write_report(tmp_path / "elsewhere", core.registry, View(quiet=True))
    page = (tmp_path / "elsewhere" / "report.html").read_text()
    for card in ("card prompt", "card measure"):
        assert page.count(f'class="{card}"') == shown.count(f'class="{card}"') > 0
    assert page.count('class="card prompt"') == 2, "as the recipe asks for"
    assert "2 seeds" in page


@pytest.mark.parametrize("recipe", ["", "steps: 5", "steps: [{report: {prompts: many}}]", "[", "steps: [report]"])
def test_a_report_is_written_whatever_became_of_the_recipes_text(run, write_recipe, toy_plugins, recipe):
    folder = run(write_recipe()).folder
    (folder / "recipe.yaml").write_text(recipe)
    (folder / "report.html").unlink()
    write_report(folder, toy_plugins.registry, View(quiet=True))
    assert "a red square number 0" in (folder / "report.html").read_text()


def test_a_killed_run_is_told_from_one_that_is_at_work(write_recipe, world, tmp_path):
    recipe = str(write_recipe(RAG.replace("{use: toy}", "{use: toy, pause: 1.0}")))
    process = subprocess.Popen(kill.command(recipe, tmp_path / "run"), env=world)
    try:
        while not list(tmp_path.glob("run/steps/generate-none-*")):
            assert process.poll() is None
            time.sleep(0.05)
        assert (told(tmp_path / "run")["step"], in_use(tmp_path / "run")) == ("generate none", True)
    finally:
        process.kill()
        process.wait()
    assert (told(tmp_path / "run")["state"], in_use(tmp_path / "run")) == ("at work", False)


def test_the_command_says_where_the_report_of_a_failed_run_is(realism, monkeypatch):
    parts = "parts: {generator: {use: toy}, colour: {use: toy_colour}}\nprompts: {use: toy_prompts}\n"
    Path("recipe.yaml").write_text(parts + "steps: [generate, {score: {rewards: [colour]}}]\n")
    monkeypatch.setattr(toys.ToyReward, "score", refuse)
    code, said = realism("run", "recipe.yaml")
    assert (code, said.splitlines()[-2:]) == (
        2, ["report of what is done: runs/recipe/report.html", "realism: the judge is asleep"]
    )  # fmt: skip
    assert realism("run", "recipe.yaml", "--quiet") == (2, "realism: the judge is asleep")
    assert realism("report", "recipe") == (0, "report: runs/recipe/report.html")
    assert "the judge is asleep" in Path("runs/recipe/report.html").read_text()
