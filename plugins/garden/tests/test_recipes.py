"""The main job: the shipped recipes on the shipped miniatures, small enough to be run at every change."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from realism.base.duplicates import pixel_hash
from realism.plugins.manager import plugins
from realism.recipe.recipe import read_recipe
from realism.runs.progress import View
from realism.runs.run import Run
from realism.testing.making import make_part
from realism_retrievers.openclip import OpenClip

sys.path.insert(0, str(Path(__file__).parents[3] / "tests"))

import kill

FEW = {
    "garden/rag": ["prompts.per_case=3", "database.per_species=6", "held_out.per_species=4", "generator.steps=4"],
    "garden/realrag": [
        "prompts.per_case=3",
        "database.per_species=4",
        "held_out.per_species=4",
        "generator.steps=2",
        "seeds=1",
    ],
    "garden/dreamsync": [
        "learning.per_case=3",
        "held_out.per_case=2",
        "generator.steps=2",
        "generator.lora.rank=2",
        "seeds=1",
        "steps[0].repeat=2",
        "steps[0].steps[1].generate.per_prompt=2",
        "steps[0].steps[3].select.where=faithful >= 0",
        "steps[0].steps[4].train.steps=2",
        "steps[2].score.arms=[before, round 1, round 2]",
        "steps[3].evaluate.arms=[before, round 1, round 2]",
    ],
}
"""What makes a recipe small enough for a test, and still does each of its steps."""


def run(recipe: str, folder: Path, *overrides: str) -> Run:
    made = Run(read_recipe(recipe, list(overrides), plugins().registry), folder, plugins(), View(quiet=True))
    made.execute()
    return made


def test_the_main_recipe_measures_both_arms_on_novel_and_known_species_and_writes_a_report(tmp_path):
    done = run("garden/rag", tmp_path / "run", *FEW["garden/rag"])
    measures = pd.read_parquet(next(done.folder.glob("steps/evaluate-*")) / "measures")
    assert set(measures.arm) == {"none", "retrieved", "(real images)", "judge (garden/judge)", "(chance)"}
    assert {"all", "known", "novel", "novel-hard"} <= set(measures.group)
    assert {"species", "kid", "fid", "faithful", "clip_i_real"} <= set(measures.name)
    page = (done.folder / "report.html").read_text()
    assert "retrieved" in page and "data:image/" in page
    assert "In doubt" not in page, "its judge and its retriever know the garden"


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


def test_in_realrag_each_image_goes_through_each_encoder_at_most_once(tmp_path, monkeypatch):
    seen: dict[str, Counter[str]] = {}
    embed = OpenClip.embed_images

    def counting(self, images):
        seen.setdefault(self.model, Counter()).update(pixel_hash(image) for image in images)
        return embed(self, images)

    monkeypatch.setattr(OpenClip, "embed_images", counting)
    run("garden/realrag", tmp_path / "run", *FEW["garden/realrag"])
    assert set(seen) == {"garden/clip", "garden/judge"}
    assert {most for counts in seen.values() for most in counts.values()} == {1}


def test_dreamsync_learns_from_its_own_judged_pictures_round_by_round(tmp_path):
    done = run("garden/dreamsync", tmp_path / "run", *FEW["garden/dreamsync"])
    measures = pd.read_parquet(next(done.folder.glob("steps/evaluate-*")) / "measures")
    assert {"faithful", "absolute", "aesthetic", "facts", "beauty", "diversity"} <= set(measures.name)
    told = measures[measures.name == "acceptance rate"]
    assert list(told.arm) == ["samples, round 1", "samples, round 2"] and (told.n == 3).all()
    assert "Samples, selection 2" in (done.folder / "report.html").read_text()


DESIGN = """\
parts:
  generator:  {use: sd, model: garden/unet, size: 64, steps: 4, guidance: 2, lora: {rank: 128}}
  faithful:   {use: vqa, model: garden/vqa}
  aesthetic:  {use: aesthetic, encoder: {use: openclip, model: garden/aesthetic}, head: garden/aesthetic}
  tifa:       {use: garden_prompts, cases: [known], per_case: 2, questions: tifa}
  dsg:        {use: garden_prompts, cases: [known], per_case: 2, questions: dsg}
prompts:      {use: prompt_file, path: prompts.jsonl}
steps:
  - repeat: 3
    steps:
      - generate: {per_prompt: 8}
      - score:    {rewards: [faithful, aesthetic]}
      - select:   {where: "faithful >= 0.9 and aesthetic >= 0.6", best: aesthetic}
      - train:    {trainer: lora, steps: 2}
  - benchmark: {prompts: [tifa, dsg]}
"""
"""The list of DESIGN.md, with the garden's parts put in."""


@pytest.mark.slow
def test_dreamsync_reads_like_its_algorithm(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"split": "train", "cases": ["known"], "per_case": 5, "questions": "tifa"}
    source = make_part("garden_prompts", options, plugins().registry)
    rows = [{"id": p.id, "text": p.text, **p.metadata} for p in source.prompts()]
    Path("prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("recipe.yaml").write_text(DESIGN)
    done = run("recipe.yaml", tmp_path / "run")
    measures = pd.read_parquet(next(done.folder.glob("steps/evaluate-*")) / "measures")
    faithful = measures[measures.name == "faithful"]
    assert {(m.arm, m.group) for m in faithful.itertuples()} == {
        (arm, group) for arm in ("before", "after") for group in ("all", "tifa", "dsg")
    }


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "times"), [("garden/rag", 25), ("garden/realrag", 20), ("garden/dreamsync", 20)])
def test_a_recipe_killed_at_many_moments_ends_as_an_undisturbed_run(recipe, times, tmp_path):
    seconds = kill.finish(recipe, tmp_path / "calm", FEW[recipe])
    calm = kill.contents(tmp_path / "calm")
    for killed in kill.kill_often(recipe, tmp_path / "killed", times, seconds, FEW[recipe]):
        assert kill.contents(killed) == calm
