"""A run loses nothing: it goes on where it was killed, keeps what is done, and skips what is bad."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import kill
import pandas as pd
import pytest
import toys
from PIL import Image
from realism.base.errors import RealismError
from realism.runs.progress import View
from realism.runs.stored import write_report
from world import RAG


def tables(run, step: str, table: str) -> pd.DataFrame:
    return pd.read_parquet(next(run.folder.glob(f"steps/{step}-*")) / table)


def test_a_killed_run_ends_where_an_undisturbed_one_ends(write_recipe, world, tmp_path):
    recipe = str(write_recipe(RAG.replace("{use: toy}", "{use: toy, pause: 0.02}")))
    seconds = kill.finish(recipe, tmp_path / "calm", env=world)
    calm = kill.contents(tmp_path / "calm")
    for killed in kill.kill_often(recipe, tmp_path / "killed", 4, seconds, env=world):
        assert kill.contents(killed) == calm


def test_a_second_process_on_the_same_run_is_refused(write_recipe, world, tmp_path):
    recipe = str(write_recipe(RAG.replace("{use: toy}", "{use: toy, pause: 1.0}")))
    first = subprocess.Popen(kill.command(recipe, tmp_path / "run"), env=world)
    try:
        while not (tmp_path / "run" / "recipe.yaml").exists():
            assert first.poll() is None
        second = subprocess.run(kill.command(recipe, tmp_path / "run"), env=world, capture_output=True, text=True)
    finally:
        first.kill()
        first.wait()
    assert second.returncode == 2
    assert "another process is at work" in second.stderr
    assert "Traceback" not in second.stderr


def test_what_is_done_is_kept_and_only_what_changed_is_done_anew(run, write_recipe):
    first = run(write_recipe())
    again = run(write_recipe())
    assert [s.kept for s in again.steps] == [True] * 7 + [False]
    changed = run(write_recipe(RAG.replace("k: 1", "k: 1").replace("- retrieve: {}", "- retrieve: {k: 2}")))
    kept = {s.title: s.kept for s in changed.steps}
    assert kept["index retriever"] and kept["generate none"]
    assert not kept["retrieve retriever"] and not kept["generate retrieved"]
    assert {s.folder for s in first.steps[:4]} & {s.folder for s in changed.steps[:4]}


def test_a_changed_database_is_indexed_anew(run, write_recipe, database):
    run(write_recipe())
    Image.new("RGB", (8, 8), (1, 2, 3)).save(database / "grey" / "new.png")
    again = {s.title: s.kept for s in run(write_recipe()).steps}
    assert not again["index retriever"]
    assert again["generate none"]


def test_a_bad_image_is_skipped_with_its_reason_and_counted(run, write_recipe, database):
    (database / "red" / "0.png").write_bytes(b"")
    done = run(write_recipe())
    rows = list(csv.DictReader((done.folder / "skipped.csv").open()))
    assert {(r["id"], r["reason"]) for r in rows} == {("red/0.png", "the file is empty")}
    assert len(tables(done, "index", "index/retriever/metadata")) == 23


def test_a_score_that_is_not_finite_is_skipped_and_the_rest_is_used(run, write_recipe):
    done = run(write_recipe(RAG.replace("toy_colour}", "toy_nan}")))
    rows = list(csv.DictReader((done.folder / "skipped.csv").open()))
    assert len(rows) == 6
    assert all("colour gave nan" in r["reason"] for r in rows)
    measures = tables(done, "evaluate", "measures")
    assert measures[(measures.name == "colour") & (measures.group == "all")].n.tolist() == [9, 9]


def test_too_much_skipped_stops_the_run(run, write_recipe):
    recipe = RAG.replace("toy_colour}", "toy_nan}").replace("{use: toy_prompts}", "{use: toy_prompts, count: 60}")
    with pytest.raises(
        RealismError, match=r"of 90 items were skipped, more than the share of 0.1 (.|\n)*, such as .+: "
    ):
        run(write_recipe(recipe))


def test_every_image_says_where_it_comes_from(run, write_recipe):
    done = run(write_recipe())
    samples = tables(done, "generate-retrieved", "samples")
    row = samples.iloc[0]
    assert Image.open(done.folder / row.image).size == (row.width, row.height)
    assert Path(row.references[0]).is_file()
    made = json.loads(next(done.folder.glob("steps/generate-retrieved-*/done.json")).read_text())
    assert made["step"]["options"]["generator"]["part"] == "toys:ToyGenerator"
    assert made["versions"]["realism"]


def test_arms_are_compared_on_the_same_noise(run, write_recipe):
    done = run(write_recipe())
    seeds = [tables(done, f"generate-{arm}", "samples").seed.tolist() for arm in ("none", "retrieved")]
    assert seeds[0] == seeds[1]


def test_a_condition_filters_what_is_retrieved(run, write_recipe):
    done = run(write_recipe(RAG.replace("- retrieve: {}", "- retrieve: {where: subject == 'green'}")))
    assert set(tables(done, "retrieve", "references").subject) == {"green"}


def test_a_condition_on_no_column_says_which_columns_there_are(run, write_recipe):
    with pytest.raises(RealismError, match=r"names 'licence'; available: id, path, subject"):
        run(write_recipe(RAG.replace("- retrieve: {}", "- retrieve: {where: licence == 'CC0'}")))


SELECT = """\
parts:
  generator: {use: toy}
prompts: {use: toy_prompts}
steps:
  - generate: {per_prompt: 3}
  - score: {rewards: [toy_colour]}
  - select: {where: toy_colour >= 0.5, best: toy_colour}
"""


def test_select_keeps_the_best_of_each_prompt_that_is_good_enough(run, write_recipe):
    done = run(write_recipe(SELECT))
    kept = tables(done, "select", "samples/samples")
    assert set(kept.subject) == {"red", "green", "grey"}
    assert kept.prompt_id.is_unique and len(kept) == 9


def test_a_run_can_be_read_without_us(run, write_recipe):
    done = run(write_recipe())
    samples = tables(done, "generate-none", "samples")
    assert list(samples.columns[:3]) == ["id", "prompt_id", "arm"]
    assert all((done.folder / p).is_file() for p in samples.image)


def test_the_report_can_be_written_anew_from_a_run(run, write_recipe, toy_plugins):
    done = run(write_recipe())
    (done.folder / "report.html").unlink()
    write_report(done.folder, toy_plugins.registry, View(quiet=True))
    assert "retrieved" in (done.folder / "report.html").read_text()


def test_a_seed_changes_the_noise_and_nothing_else(run, write_recipe):
    one, two = (run(write_recipe(), f"seed={s}", out=f"run{s}") for s in (1, 2))
    seeds = [set(tables(r, "generate-none", "samples").seed) for r in (one, two)]
    assert not seeds[0] & seeds[1]
    same = [tables(r, "retrieve", "references").id.tolist() for r in (one, two)]
    assert same[0] == same[1]


TRAIN = """\
parts:
  generator: {use: toy_learner}
prompts: {use: toy_prompts, count: 4}
steps:
  - repeat: 2
    steps:
      - generate: {}
      - score: {rewards: [toy_colour]}
      - train: {trainer: toy_trainer, steps: 20}
  - generate: {name: after}
"""


def test_what_is_learnt_is_used_by_the_steps_that_follow(run, write_recipe):
    done = run(write_recipe(TRAIN))
    greys = [
        Image.open(sorted((done.folder / s.folder / "images").glob("*.png"))[0]).getpixel((0, 0))[0]
        for s in done.steps
        if s.title.startswith("generate")
    ]
    assert greys == [0, 200, 200]


def test_a_killed_training_goes_on_from_its_last_checkpoint(run, write_recipe, read, tmp_path, monkeypatch):
    monkeypatch.setattr("toys_learning.ToyTrainer.checkpoint_every", 5)
    seen: list[int] = []
    import toys_learning

    step = toys_learning.GreyModule.training_step

    def stop_at_12(self, batch, i):
        seen.append(self.global_step)
        if len(seen) == 12:
            raise KeyboardInterrupt
        return step(self, batch, i)

    monkeypatch.setattr("toys_learning.GreyModule.training_step", stop_at_12)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run(write_recipe(TRAIN))
    done = run(write_recipe(TRAIN))
    assert seen[12] == 10
    assert done.steps[-1].title == "generate after"


def test_a_smaller_batch_after_running_out_of_memory_keeps_what_is_done(run, write_recipe, monkeypatch):
    monkeypatch.setattr("toys.ToyGenerator.speed_options", ("pause",))
    run(write_recipe())
    again = run(write_recipe(), "generator.pause=0.001")
    assert all(s.kept for s in again.steps if s.title != "report")


def test_a_new_version_of_a_plugin_does_its_steps_anew(run, write_recipe, toy_plugins, monkeypatch):
    run(write_recipe())
    newer = [replace(p, version="9") if p.name == "toys" else p for p in toy_plugins.plugins]
    monkeypatch.setattr(toy_plugins, "plugins", newer)
    again = {s.title: s.kept for s in run(write_recipe()).steps}
    assert not again["generate none"]


@pytest.mark.parametrize(
    "table",
    [
        "generate-none-*/samples/none",
        "score-*/scores/none/colour",
        "score-*/scores/retrieved/critic.brightness",
        "score-*/maps/none/critic",
        "select-*/samples/none",
        "select-*/scores/none/colour",
    ],
)
def test_a_lost_part_of_a_finished_step_is_made_again(run, write_recipe, table):
    recipe = RAG.replace("  - evaluate", "  - select: {where: colour >= 0, arms: [none]}\n  - evaluate")
    recipe = recipe.replace("likeness: {use: toy_likeness}", "critic: {use: toy_critic}").replace("likeness", "critic")
    done = run(write_recipe(recipe))
    before = kill.contents(done.folder)
    [folder] = done.folder.glob(f"steps/{table}")
    lost = sorted(folder.glob("shard-*.parquet"))[-1]
    lost.unlink()
    again = run(write_recipe(recipe))
    assert lost.exists() and kill.contents(again.folder) == before


def test_a_damaged_note_of_the_time_taken_decides_nothing(run, write_recipe):
    done = run(write_recipe())
    before = kill.contents(done.folder)
    [step] = done.folder.glob("steps/score-*")
    (step / "timing.json").write_text("null")
    (step / "done.json").unlink()
    assert kill.contents(run(write_recipe()).folder) == before


def test_a_part_that_ends_the_program_ends_in_a_sentence(run, write_recipe, monkeypatch):
    monkeypatch.setattr(toys.ToyReward, "score", lambda self, pictures: sys.exit(3))
    with pytest.raises(RealismError, match=r"reward 'colour' .* in step 'score': it tried to end .*\(SystemExit: 3\)"):
        run(write_recipe())
