"""What a report shows of a run: what measures are, curves and snapshots, the whole recipe, the log."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from realism.base.tables import write_shard
from realism.data.artifacts import Curves, Snapshots
from realism.data.rows import CurvePoint, Snapshot
from realism.parts.work import StepRecord
from realism.recipe.complete import complete
from realism.report.build import build
from realism.report.training import curves_of, snapshots_of
from realism.runs.fingerprint import describe
from realism.runs.manifest import write_manifest
from realism.runs.progress import View
from realism.runs.seeds import pool
from realism.runs.stored import write_report
from test_report import MEASURES, paint, words
from test_report_verdicts import EMPTY
from world import RAG


@pytest.fixture
def fits(tmp_path: Path) -> SimpleNamespace:
    """The folder of a run with two fits for each of two seeds, 1,000 steps each, and snapshots of two prompts."""
    steps = []
    for seed in (0, 1):
        for fit in (1, 2):
            folder = tmp_path / f"steps/train-{seed}{fit}"
            curves, snapshots = Curves("generator", fit), Snapshots("generator", fit)
            rows = [CurvePoint("loss", step, 1 / (1 + step) + seed) for step in range(1000)]
            rows += [CurvePoint("learning_rate", step, 1e-5) for step in range(1000)]
            rows += [CurvePoint("broken", step, math.nan) for step in range(3)]
            image = paint(tmp_path / f"snapshot{seed}{fit}.png").name
            drawn = [Snapshot(50 * i, p, f"a {p}", 7, image) for i in reversed(range(30)) for p in ("rose", "tulip")]
            write_shard(rows, CurvePoint, folder / curves.place, 0)
            write_shard(drawn, Snapshot, folder / snapshots.place, 0)
            write_manifest(folder, "f", [curves, snapshots], {"threads": 1, "skipped_limit": 0.1})
            steps.append(StepRecord("train generator", f"steps/train-{seed}{fit}", "f", False, seed))
    return SimpleNamespace(run=SimpleNamespace(steps=steps, seeds=(0, 1)), root=tmp_path)


def test_curves_of_all_fits_and_seeds_share_a_plot_for_each_logged_value(fits: SimpleNamespace, tmp_path: Path) -> None:
    page = build(replace(EMPTY, curves=curves_of(fits)), tmp_path / "report.html").read_text()
    said = words(page)
    assert "fit 1, seed 0" in said and "fit 2, seed 1" in said
    plots = re.findall(r'<figure class="curves">.*?</figure>', page, re.S)
    assert [re.findall(r"<b>(\w+)</b>", plot)[0] for plot in plots] == ["loss", "learning_rate"], "NaN draws nothing"
    assert all(plot.count('<path class="curve ') == 4 for plot in plots)
    assert "each point is the mean of 5 steps" in said and "1e-05" in plots[1]
    assert max(path.count("L") for path in re.findall(r' d="(M[^"]*)"', plots[0])) < 200
    assert re.search(r'aria-label="loss by step; last values: fit 1, seed 0 0.001', page)


def test_snapshots_are_strips_from_the_first_step_to_the_last(fits: SimpleNamespace, tmp_path: Path) -> None:
    page = build(replace(EMPTY, snapshots=snapshots_of(fits)), tmp_path / "report.html").read_text()
    strips = re.findall(r'aria-label="Snapshots of a (\w+)">(.*?)</div>\n</div>', page, re.S)
    assert [name for name, _ in strips] == ["rose", "tulip"] * 2, "those of the first seed"
    steps = [int(step.replace(",", "")) for step in re.findall(r">step ([\d,]+)<", strips[0][1])]
    assert steps == sorted(steps) and (steps[0], steps[-1]) == (0, 1450)
    assert "10 of 30" in words(page)


def test_a_page_with_long_curves_stays_small(fits: SimpleNamespace, tmp_path: Path) -> None:
    bare = build(EMPTY, tmp_path / "bare.html").stat().st_size
    many = tuple(replace(one, name=f"{one.name} {i}") for i in range(10) for one in curves_of(fits))
    assert build(replace(EMPTY, curves=many), tmp_path / "report.html").stat().st_size < bare + 2**19


def test_each_measure_says_what_it_is_even_from_the_folder_alone(run, write_recipe, toy_plugins) -> None:
    done = run(write_recipe())
    (done.folder / "report.html").unlink()
    write_report(done.folder, toy_plugins.registry, View(quiet=True))
    page = (done.folder / "report.html").read_text()
    said = words(page)
    for name, text in (
        ("colour", "1 if the picture has the colour that is its prompt's subject, else 0."),
        ("toy_distance", "Squared distance of the means of two sets."),
        ("retrieval precision@1", "The share of prompts whose best reference shows the subject that the prompt asks"),
    ):
        assert re.search(rf"{re.escape(name)} [↑↓] \w+ is better {re.escape(text)}", said), name
    assert page.count('aria-label="Worst pictures of') == 2 and "none lowest colour" in said


def test_the_value_of_each_seed_stands_in_its_cell(tmp_path: Path) -> None:
    first, second = (
        [replace(m, value=v, n=10, detail={"seed": s}) for m in MEASURES[:1]] for s, v in ((0, 0.2), (1, 0.4))
    )
    page = build(replace(EMPTY, measures=tuple(pool([first, second]))), tmp_path / "report.html").read_text()
    assert re.search(r"30 .? ?%.*seed 0 20 .? ?% seed 1 40", words(page).replace("\u202f", " "))
    assert page.count('<circle class="seeds"') == 2


def test_the_log_tells_of_each_step_and_the_report_shows_its_end(run, write_recipe) -> None:
    run(write_recipe())
    done = run(write_recipe())
    log = (done.folder / "log.txt").read_text()
    for text in ("run of recipe", "score: started", "score: done, 24 images", "score: kept", "run done"):
        assert text in log
    assert "INFO score: kept" in words((done.folder / "report.html").read_text())


def test_the_recipe_is_shown_with_all_options_and_defaults_are_marked(run, write_recipe) -> None:
    done = run(write_recipe(), "steps.1.generate.per_prompt=2")
    page = (done.folder / "report.html").read_text()
    text = (done.folder / "recipe-complete.yaml").read_text()
    assert "    size: 8  # default\n" in text and "    per_prompt: 2\n" in text
    assert "\n    size: 8  # default\n" in page and "<b>      per_prompt: 2</b>" in page
    assert text.strip() in "".join(re.findall(r'class="yaml">(.*?)</pre>', page, re.S)).replace("<b>", "").replace(
        "</b>", ""
    ).replace("&#39;", "'")


REPEATED = """\
parts: {generator: toy, colour: {use: toy_colour}}
prompts: toy_prompts
steps:
  - repeat: 2
    steps:
      - generate: {name: "round {iteration}"}
  - score: {rewards: [colour, {use: toy_bright}]}
  - report
"""


@pytest.mark.parametrize("recipe", [RAG, REPEATED])
def test_a_recipe_with_all_options_makes_the_same_steps(recipe: str, read, write_recipe, toy_plugins) -> None:
    made = read(write_recipe(recipe))
    again = read(write_recipe(complete(made.data, toy_plugins.registry), "complete.yaml"))
    assert [describe(step, {}) for step in again.steps] == [describe(step, {}) for step in made.steps]
    assert (again.name, again.seeds, again.skipped_limit) == (made.name, made.seeds, made.skipped_limit)
    assert complete(again.data, toy_plugins.registry).replace("  # default", "") == complete(
        made.data, toy_plugins.registry
    ).replace("  # default", "")
