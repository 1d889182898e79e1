"""What a run has written is what is read of it later: losses are noticed, changes are found, nothing stale is kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import kill
import numpy as np
import pandas as pd
import pytest
import toys
from PIL import Image
from realism import open_run
from realism.base.errors import RealismError
from realism.cli.verify import verify_run
from realism.cli.work import write_report
from world import RAG

PARTS = ("generate-none-*/samples/none", "score-*/scores/none/colour", "retrieve-*/references/retriever")


def one(run, pattern: str) -> Path:
    [found] = run.folder.glob(f"steps/{pattern}")
    return found


def last_part(run, table: str) -> Path:
    return sorted(one(run, table).glob("shard-*.parquet"))[-1]


@pytest.mark.parametrize("table", PARTS)
def test_a_lost_part_is_noticed_by_all_that_read_the_run(run, write_recipe, table):
    done = run(write_recipe())
    last_part(done, table).unlink()
    with pytest.raises(RealismError, match=r"is not as it was written: \d+ rows where there were 12; run the recipe"):
        open_run(done.folder)
    with pytest.raises(RealismError, match="is not as it was written"):
        write_report(done.folder)


@pytest.mark.parametrize("table", PARTS)
@pytest.mark.parametrize("how", ["fewer rows", "no Parquet"])
def test_a_part_that_lost_rows_or_is_damaged_is_made_again(run, write_recipe, table, how):
    done = run(write_recipe())
    before = kill.contents(done.folder)
    part = last_part(done, table)
    if how == "no Parquet":
        part.write_bytes(b"PAR1 and no more")
    else:
        pd.read_parquet(part).iloc[1:].to_parquet(part)
    again = run(write_recipe())
    assert kill.contents(again.folder) == before
    assert "is missing and is made again" in (again.folder / "log.txt").read_text()


def test_an_untouched_run_is_found_as_it_was_written(run, write_recipe):
    verify_run(run(write_recipe()).folder)


def _edit_a_table(done) -> Path:
    part = last_part(done, "score-*/scores/none/colour")
    table = pd.read_parquet(part)
    table["value"] = 1.0
    table.to_parquet(part)
    return part


def _replace_a_picture(done) -> Path:
    picture = next(iter(sorted(one(done, "generate-none-*/images").glob("*.png"))))
    Image.new("RGB", (8, 8), "white").save(picture)
    return picture


def _permute_vectors(done) -> Path:
    file = next(iter(one(done, "index-*/index/retriever/img_emb").glob("*.npy")))
    np.save(file, np.load(file)[::-1])
    return file


def _permute_kept_vectors(done) -> Path:
    file = next(iter(done.folder.glob("embeddings/vectors-*/values-*.npy")))
    np.save(file, np.load(file)[::-1])
    return file


def _remove_a_picture(done) -> Path:
    picture = next(iter(one(done, "generate-retrieved-*/images").glob("*.png")))
    picture.unlink()
    return picture


def _edit_the_list(done) -> Path:
    file = one(done, "generate-none-*/files.sha256")
    file.write_text(file.read_text().replace("a", "b"))
    return file


@pytest.mark.parametrize(
    "change",
    [_edit_a_table, _replace_a_picture, _permute_vectors, _permute_kept_vectors, _remove_a_picture, _edit_the_list],
)
def test_whatever_is_changed_in_a_run_is_found_by_verify(run, write_recipe, change):
    done = run(write_recipe())
    file = change(done)
    with pytest.raises(RealismError) as found:
        verify_run(done.folder)
    assert f"{file.name}" in str(found.value)


def test_all_that_is_changed_is_named_at_once(run, write_recipe):
    done = run(write_recipe())
    files = [_replace_a_picture(done), *(last_part(done, table) for table in PARTS)]
    for part in files[1:]:
        part.write_bytes(b"PAR1 and no more")
    key = next(iter(done.folder.glob("embeddings/pixels/keys-*.npy")))
    key.write_bytes(b"")
    with pytest.raises(RealismError) as found:
        verify_run(done.folder)
    assert all(file.name in str(found.value) for file in [*files, key])
    assert "5 not as written" in str(found.value)


def test_the_list_of_files_is_one_that_sha256sum_reads(run, write_recipe):
    step = one(run(write_recipe()), "generate-none-*")
    checked = subprocess.run(["sha256sum", "--check", "--quiet", "files.sha256"], cwd=step)
    assert checked.returncode == 0


def test_what_is_missing_of_a_steps_pictures_is_said_when_the_run_goes_on(run, write_recipe):
    done = run(write_recipe())
    gone = _remove_a_picture(done)
    (gone.parent / ".DS_Store").write_text("another file, so that there are as many as before")
    with pytest.raises(RealismError, match=rf"lacks 1 of its \d+ files, such as 'images/{gone.name}'; remove"):
        run(write_recipe())


def test_a_step_is_done_anew_when_asked_and_so_is_what_reads_another_result(run, write_recipe, monkeypatch):
    run(write_recipe())
    monkeypatch.setattr(toys.ToyGenerator, "_paint", lambda self, request: Image.new("RGB", (8, 8), "red"))
    again = run(write_recipe(), fresh=("generate none",))
    kept = {step.title: step.kept for step in again.steps}
    assert not kept["generate none"] and not kept["score"] and not kept["evaluate"]
    assert kept["index retriever"] and kept["generate retrieved"]
    assert "score: what it reads has changed since it was done" in (again.folder / "log.txt").read_text()


def test_a_step_that_is_done_anew_with_the_same_result_leaves_the_others_as_they_are(run, write_recipe):
    run(write_recipe())
    again = run(write_recipe(), fresh=("generate none",))
    assert [step.title for step in again.steps if not step.kept] == ["generate none", "report"]


def test_a_step_to_do_anew_that_is_none_is_refused_with_the_nearest(run, write_recipe):
    with pytest.raises(RealismError, match="no step 'genrate none' to do anew; did you mean 'generate none'"):
        run(write_recipe(), fresh=("genrate none",))


def test_a_step_goes_on_under_another_number_of_threads_with_a_note(run, write_recipe):
    done = run(write_recipe())
    step = one(done, "generate-none-*")
    (step / "done.json").unlink()
    begun = json.loads((step / "start.json").read_text())
    (step / "start.json").write_text(json.dumps(begun | {"threads": 64}))
    run(write_recipe())
    assert "generate none was started with 64 threads and goes on with" in (done.folder / "log.txt").read_text()
    assert json.loads((step / "done.json").read_text())["threads"] < 64


def test_steps_that_were_done_with_another_number_of_threads_are_noted_once(run, write_recipe):
    done = run(write_recipe())
    for told in done.folder.glob("steps/*/done.json"):
        told.write_text(json.dumps(json.loads(told.read_text()) | {"threads": 64}))
    run(write_recipe(RAG.replace("- retrieve: {}", "- retrieve: {k: 2}")))
    said = (done.folder / "log.txt").read_text()
    assert said.count("steps that are kept were done with 64 threads, retrieve retriever with") == 1


PLUGIN = """\
from dataclasses import dataclass
import torch
from realism import Reward, Scores, hook
import shades

@dataclass
class Shade(Reward):
    range = (0.0, 1.0)

    def score(self, pictures):
        return Scores(torch.tensor([shades.of(p) for p in pictures]))

@hook
def realism_register(registry):
    registry.reward("shade", "shaded:Shade")
"""
RECIPE = """\
parts: {generator: {use: toy}}
prompts: {use: toy_prompts}
steps:
  - generate: {}
  - score: {rewards: [shade]}
"""


@pytest.mark.parametrize("edited", ["shaded.py", "shades.py"])
def test_code_under_development_that_was_edited_is_used(tmp_path, edited):
    """Of a reward, or of a module that it imports; a step that does not use it is kept."""
    site = tmp_path / "site"
    for name, points in {"toys": "toys = toys", "shaded": "shaded = shaded"}.items():
        info = site / f"{name}-0.1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
        (info / "entry_points.txt").write_text(f"[realism]\n{points}\n")
    (site / "shaded.py").write_text(PLUGIN)
    (site / "shades.py").write_text("def of(picture):\n    return 0.25\n")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    paths = [str(site), str(Path(toys.__file__).parent), os.environ.get("PYTHONPATH", "")]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONDONTWRITEBYTECODE": "1"}
    program = [sys.executable, "-c", "from realism.cli.app import main; main()"]

    def carry_out() -> tuple[str, float]:
        told = subprocess.run(
            [*program, "run", "recipe.yaml", "--out", "run"], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        assert told.returncode == 0, told.stderr
        return told.stdout, open_run(tmp_path / "run")["scores"].to_pandas().value.iloc[0]

    assert carry_out()[1] == 0.25
    file = site / edited
    file.write_text(file.read_text().replace("0.25", "0.5").replace("shades.of(p)", "0.5"))
    said, value = carry_out()
    assert value == 0.5
    assert "generate samples         kept" in said
    assert carry_out()[0].count("kept") == 3


def test_what_a_part_warns_of_is_kept_with_the_step(run, write_recipe, monkeypatch):
    import logging

    score = toys.ToyReward.score

    def grumbling(self, pictures):
        logging.getLogger("realism").warning("these pictures are small")
        return score(self, pictures)

    monkeypatch.setattr(toys.ToyReward, "score", grumbling)
    done = run(write_recipe())
    notes = [json.loads(line)["text"] for line in (one(done, "score-*") / "notes.jsonl").read_text().splitlines()]
    assert notes == ["these pictures are small"]
    assert "these pictures are small" in (done.folder / "report.html").read_text().lower()


def test_texts_that_were_cut_are_told_in_the_report(run, write_recipe, monkeypatch):
    from realism.base.cut_texts import note_texts

    score = toys.ToyReward.score

    def reading(self, pictures):
        note_texts(self.part_name, 3, [p.prompt.text for p in pictures], [True] * len(pictures))
        return score(self, pictures)

    monkeypatch.setattr(toys.ToyReward, "score", reading)
    done = run(write_recipe())
    assert "'colour' reads 3 tokens: 12 of 12 prompts are longer" in (one(done, "score-*") / "notes.jsonl").read_text()


def test_what_a_killed_writer_has_left_is_removed(run, write_recipe):
    done = run(write_recipe())
    before = kill.contents(done.folder)
    (one(done, "generate-none-*") / ".x.png.0123456789abcdef.writing").write_bytes(b"half")
    (done.folder / ".index.0123456789abcdef.writing").mkdir()
    run(write_recipe())
    assert kill.contents(done.folder) == before
    assert not list(done.folder.rglob("*.writing"))


def test_a_step_done_anew_embeds_anew(run, write_recipe, monkeypatch):
    first = np.load(next(one(run(write_recipe()), "index-*/index/retriever/img_emb").glob("*.npy")))
    row = np.eye(1, first.shape[1], dtype=np.float32)
    monkeypatch.setattr(toys.ToyRetriever, "embed_images", lambda self, images: np.tile(row, (len(images), 1)))
    again = run(write_recipe(), fresh=("index retriever",))
    assert not np.array_equal(np.load(next(one(again, "index-*/index/retriever/img_emb").glob("*.npy"))), first)


def test_what_screens_pictures_decides_whether_they_are_kept(run, write_recipe, toy_plugins):
    from importlib.metadata import EntryPoint

    from realism.plugins.manager import Plugins, installed

    run(write_recipe())
    screened = Plugins([*installed(), EntryPoint("toys", "toys", "realism"), EntryPoint("shy", "toys_shy", "realism")])
    kept = {step.title: step.kept for step in run(write_recipe(), plugins=screened).steps}
    assert not kept["generate none"] and not kept["score"] and kept["index retriever"]


def test_a_stricter_limit_holds_for_what_is_kept(run, write_recipe):
    recipe = RAG.replace("toy_colour}", "toy_nan}").replace("{use: toy_prompts}", "{use: toy_prompts, count: 60}")
    run(write_recipe(recipe + "limits: {skipped: 0.9}\n"))
    with pytest.raises(RealismError, match=r"more than the share of 0.01 that"):
        run(write_recipe(recipe + "limits: {skipped: 0.01}\n"))


def test_no_step_is_called_nothing(run, write_recipe):
    with pytest.raises(RealismError, match="no step '' to do anew"):
        run(write_recipe(), fresh=("",))
