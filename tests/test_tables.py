"""The recipe of RealRAG's tables is whole for every dataset and generator."""

from __future__ import annotations

import pandas as pd
import pytest
import tiny_databases as made
from realism.plugins.manager import plugins
from realism.recipe.recipe import read_recipe
from realism.runs.progress import View
from realism.runs.run import Run
from realism.steps.generate import Generate

GENERATORS = ("omnigen", "emu2", "sd21", "sdxl", "sd3", "flux")
DATASETS = ("flowers", "cars", "dogs")


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Look-alikes of the three datasets where the recipe looks for them."""
    made.flowers102(tmp_path / "data")
    made.stanford_cars(tmp_path / "data")
    made.dogs(tmp_path / "data" / "stanford_dogs")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("dataset", DATASETS)
def test_each_cell_of_the_tables_can_be_run(data, dataset, generator):
    choices = [f"choose.dataset={dataset}", f"choose.generator={generator}"]
    consent = ["generator.trust_remote_code=true"] if generator == "emu2" else []
    recipe = read_recipe("realrag/tables", [*choices, *consent], plugins().registry)
    assert [step.name for step in recipe.steps if isinstance(step, Generate)] == ["none", "zero", "normal", "real"]
    assert all(step.generator.max_references for step in recipe.steps if isinstance(step, Generate))
    assert recipe.name == f"realrag/tables-{dataset}-{generator}"


@pytest.mark.slow
def test_the_four_arms_run_on_the_garden_over_two_seeds(tmp_path):
    small = ["seeds=2", "prompts.per_case=2", "generator.steps=2", "database.per_species=4", "held_out.per_species=4"]
    recipe = read_recipe("garden/realrag", [*small, "steps[1].reflect.drafts=1"], plugins().registry)
    done = Run(recipe, tmp_path / "run", plugins(), View(quiet=True))
    done.execute()
    measures = pd.read_parquet(next(done.folder.glob("steps/seeds-*")) / "measures")
    assert {"none", "zero", "normal", "real", "(real images)", "(chance)"} <= set(measures.arm)
    assert {"species", "kid", "fid"} <= set(measures.name)
    assert "Reflective negatives" in (done.folder / "report.html").read_text()
