"""What the documents show of plugins and runs does what they say: their code is run, on the toys."""

from __future__ import annotations

import csv
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import documents
import pytest
import toys
from documents import BLOCKS
from realism import artifacts, open_run
from realism.base.errors import RealismError
from realism.data.artifacts import ScoreTable
from realism.parts.base import part_families
from realism.plugins.manager import Plugins
from realism.recipe.recipe import read_recipe
from realism.runs.progress import View
from realism.runs.reading import OpenRun
from realism.runs.run import Run
from realism.testing.making import cases, make_part, run_case
from world import RAG, ROOT

shown, plugins, here = documents.shown, documents.plugins, documents.here


OPTIONS: dict[str, dict[str, Any]] = {"tints": {"generator": {"use": "tint"}}, "mean_gap": {"encoder": "toy_retriever"}}
"""Of parts that documents show and that need some."""
UNDOCUMENTED = ["contrast"]
"""Shown in ten lines, where options have no word said of them."""


def test_the_parts_shown_keep_the_contract(plugins: Plugins, shown: Path) -> None:
    assert plugins.problems == []
    registry = plugins.registry
    ours = [e.name for f in part_families() for e in registry.entries(f) if (shown / f"{e.plugin}.py").exists()]
    assert set(ours) == {"tint", "contrast", "sharpness", "critic", "tints", "mean_gap", "twice"}
    for name, contract in cases(ours, registry):
        if name not in UNDOCUMENTED or "option" not in contract:
            run_case(name, contract, lambda name=name: make_part(name, OPTIONS.get(name, {}), registry), registry)


TOYS = """\
parts:
  generator: {use: toy}
  colour: {use: toy_colour}
prompts: {use: toy_prompts, count: 6}
steps:
  - generate: {per_prompt: 3, shard: 4}
  - score: {rewards: [colour]}
"""


@pytest.fixture
def do(plugins: Plugins, here: Path, write_recipe, tmp_path: Path) -> Callable[[str], OpenRun]:
    """Carry out a recipe with the parts that documents show, and open the run."""

    def carry_out(text: str) -> OpenRun:
        recipe = read_recipe(str(write_recipe(text)), [], plugins.registry)
        made = Run(recipe, tmp_path / "run", plugins, View(quiet=True))
        made.execute()
        return open_run(made.folder)

    return carry_out


NAMES = """\
parts:
  database: {use: image_folder, path: DATABASE}
  generator: {use: toy}
  critic: {use: toy_critic}
  others: {use: toy_prompts, count: 3}
prompts: {use: toy_prompts, count: 6}
steps:
  - photographs: {images: database}
  - repeat: [4, 12]
    steps:
      - generate: {generator: {use: toy, size: "{value}"}, name: "{value} wide", per_prompt: 2}
  - score: {rewards: [critic]}
  - repeat:
      - {arm: 4 wide, least: 0.5}
      - {arm: 12 wide, least: 0.6}
    steps:
      - select: {arms: ["{arm}"], where: "critic.plausibility >= {least}", best: critic.brightness, name: "of {arm}"}
  - evaluate: {name: width, arms: [4 wide, 12 wide]}
  - evaluate: {name: selection, arms: [real, of 4 wide, of 12 wide]}
  - prompts: {source: others, name: few}
  - generate: {name: other prompts, prompts: few}
  - report
"""


def test_what_a_step_makes_is_found_by_the_name_it_was_given(do) -> None:
    run = do(NAMES)
    available = run.artifacts
    wide = ["4 wide", "12 wide", "of 4 wide", "of 12 wide"]
    assert [one.arm for one in artifacts.Samples.among(available)] == ["real", *wide, "other prompts"]
    assert {scores.reward for scores in ScoreTable.among(available)} == {"critic.plausibility", "critic.brightness"}
    assert [one.name for one in artifacts.Measures.among(available)] == ["width", "selection"]
    assert [one.name for one in artifacts.PromptTable.among(available)] == ["", "few"]
    assert {sample.width for sample in run[artifacts.Samples("12 wide")]} == {12}
    assert len({sample.prompt_id for sample in run[artifacts.Samples("other prompts")]}) == 3
    page = (run.folder / "report.html").read_text()
    assert "(width)" in page and "(selection)" in page


def test_real_images_are_an_arm_without_any_prompt(do) -> None:
    alone = NAMES[: NAMES.index("prompts:")] + "steps:\n  - photographs: {images: database, name: photos}\n"
    run = do(alone + "  - score: {rewards: [critic]}\n  - evaluate\n")
    assert {(sample.text, sample.seed, sample.generator) for sample in run["samples"]} == {
        (name, 0, "") for name in toys.COLOURS
    }


def problems_of(write_recipe, plugins: Plugins, text: str) -> str:
    with pytest.raises(RealismError) as error:
        read_recipe(str(write_recipe(text)), [], plugins.registry)
    return " ".join(str(error.value).split())


def test_the_step_shown_keeps_the_darkest_and_voids_scores(do) -> None:
    kept = do(TOYS + "  - darkest: {}\n")
    rows = list(kept["samples"])
    assert [row.prompt_id for row in rows] == [f"p{i:03d}" for i in range(6)]
    grey = partial(importlib.import_module("realism_darkest").grey, kept.folder)
    darkest: dict[str, Any] = {}
    for row in do(TOYS)["samples"]:
        darkest[row.prompt_id] = min(darkest.get(row.prompt_id, row), row, key=grey)
    assert rows == list(darkest.values())
    assert not ScoreTable.among(kept.artifacts)


def test_what_is_said_where_the_step_shown_lacks_something_is_shown(write_recipe, plugins: Plugins, here: Path) -> None:
    guide = " ".join((ROOT / "docs" / "plugins.md").read_text().split())
    sentence = "no arm 'smaples'; arms here: samples; did you mean 'samples'?"
    said = problems_of(write_recipe, plugins, TOYS + "  - darkest: {arm: smaples}\n")
    assert f"steps[2].darkest.arm {sentence}" in said and f"`{sentence}`" in guide
    greys = importlib.import_module("realism_greys").Greys("samples")
    assert f"`{greys.missing_message([])}`" in guide


def test_the_artifact_shown_is_read_and_is_void_when_samples_are_drawn_anew(do) -> None:
    frame = do(TOYS + "  - measure_greys\n")["greys"].to_pandas()
    assert list(frame.columns) == ["arm", "id", "grey"] and len(frame) == 18 and frame["grey"].between(0, 255).all()
    with pytest.raises(RealismError, match="no 'greys' in this run"):
        do(TOYS + "  - measure_greys\n  - darkest\n")["greys"]


def test_the_trainer_shown_teaches_its_generator(do) -> None:
    learns = TOYS.replace("  colour:", "  painter: {use: tint, size: 8}\n  colour:")
    learns = learns.replace("- generate: {", "- generate: {generator: generator, ") + (
        "  - train: {trainer: tints, generator: painter, steps: 100}\n  - measure_greys\n"
        "  - generate: {generator: painter, name: before, trained: false}\n  - measure_greys: {arm: before}\n"
        "  - generate: {generator: painter, name: after}\n  - measure_greys: {arm: after}\n"
    )
    means = do(learns)["greys"].to_pandas().groupby("arm").grey.mean()
    assert abs(means["before"] - 127.5) < 4
    assert abs(means["after"] - means["samples"]) < 8 < abs(means["before"] - means["samples"])


def test_the_notes_shown_are_written(do) -> None:
    done = do(TOYS)
    first, *steps = [json.loads(line) for line in (done.folder / "notes.jsonl").read_text().splitlines()]
    assert first["name"] == "recipe" and first["parts"] == ["generator", "colour"] and "torch" in first["versions"]
    assert [step["step"] for step in steps] == ["prompts", "generate samples", "score"]
    assert [step["done"] for step in steps] == [0, 1, 2]


def test_the_hook_shown_writes_every_score(run, write_recipe, plugins: Plugins, here: Path) -> None:
    done = run(write_recipe(RAG), plugins=plugins)
    rows = list(csv.reader((done.folder / "scores.csv").open()))
    assert len(rows) == 12 + 12 + 12
    assert {row[0] for row in rows} == {"none", "retrieved"}
    assert {row[1] for row in rows} == {"colour", "likeness"}
    assert all(0 <= float(row[-1]) <= 1 for row in rows)


@pytest.mark.parametrize(
    ("file", "said"), [("read_a_run", "references"), ("read_without_us", "references"), ("read_garden", "likeness")]
)
def test_a_run_is_read_as_shown(file: str, said: str, run, write_recipe, here: Path, monkeypatch, capsys) -> None:
    done = run(write_recipe(RAG))
    (done.folder.parent / "runs").mkdir()
    for name in ("garden", "garden-rag"):
        (done.folder.parent / "runs" / name).symlink_to(done.folder)
    monkeypatch.chdir(done.folder.parent)
    importlib.import_module(file)
    assert said in capsys.readouterr().out


def test_a_part_is_used_as_shown(here: Path, capsys) -> None:
    importlib.import_module("use_a_part")
    assert capsys.readouterr().out.startswith("tensor([0.")


def test_a_folder_is_searched_as_shown(here: Path, capsys) -> None:
    importlib.import_module("search_a_folder")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and all((here / "photos" / line.split(" (")[0]).is_file() for line in lines)


TESTS = [block.file for block in BLOCKS if block.file.startswith("test_")]


@pytest.mark.parametrize("file", TESTS)
def test_each_test_shown_passes(file: str, here: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(here), file],
        cwd=here,
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stdout
