"""The main job: the shipped recipes on the shipped miniatures, small enough to be run at every change."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest
from realism.manager import plugins
from realism.recipe.recipe import read_recipe
from realism.run.progress import View
from realism.run.run import Run

sys.path.insert(0, str(Path(__file__).parents[3] / "tests"))

import kill

SMALL = ["prompts.per_case=3", "database.per_species=6", "held_out.per_species=4", "generator.steps=4"]


def run(recipe: str, folder: Path, *overrides: str) -> Run:
    made = Run(read_recipe(recipe, list(overrides), plugins().registry), folder, plugins(), View(quiet=True))
    made.execute()
    return made


def test_the_main_recipe_measures_both_arms_on_novel_and_known_species_and_writes_a_report(tmp_path):
    done = run("garden/rag", tmp_path / "run", *SMALL)
    measures = pd.read_parquet(next(done.folder.glob("steps/evaluate-*")) / "measures")
    assert set(measures.arm) == {"none", "retrieved", "(real images)"}
    assert {"all", "known", "novel", "novel-hard"} <= set(measures.group)
    assert {"species", "kid", "fid", "faithful", "alike"} <= set(measures.name)
    page = (done.folder / "report.html").read_text()
    assert "retrieved" in page and "data:image/" in page


def test_the_same_recipe_runs_on_a_folder_of_photographs(tmp_path):
    from realism.testing.material import picture

    for kind, name in enumerate(("rose", "daisy")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(3):
            picture(10 * kind + i, (90, 70)).save(tmp_path / "photos" / name / f"{i}.jpg")
    overrides = [f"photos.path={tmp_path / 'photos'}", "prompts.per_class=1", "generator.steps=2"]
    done = run("photos/rag", tmp_path / "run", *overrides)
    samples = pd.read_parquet(next(done.folder.glob("steps/generate-retrieved-*")) / "samples")
    assert list(samples.text) == ["A photo of a daisy", "A photo of a rose"]
    assert all(len(r) == 1 for r in samples.references)


@pytest.mark.slow
def test_the_main_recipe_killed_at_25_moments_ends_as_an_undisturbed_run(tmp_path):
    seconds = kill.finish("garden/rag", tmp_path / "calm", SMALL)
    calm = kill.contents(tmp_path / "calm")
    for killed in kill.kill_often("garden/rag", tmp_path / "killed", 25, seconds, SMALL):
        assert kill.contents(killed) == calm
