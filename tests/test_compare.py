"""`realism compare` puts runs side by side, and only reads them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import kill
import pytest
from realism.cli.comparing import compared
from realism.runs.progress import View

RECIPE = """\
parts: {generator: {use: toy}, colour: {use: toy_colour}}
prompts: {use: toy_prompts, count: 6}
steps: [generate, {score: {rewards: [colour]}}, evaluate]
"""
QUIET = View(quiet=True)
TEXT = "a green square number 1"


@pytest.fixture
def make(realism):
    """Carry out RECIPE with overrides; the run's folder."""
    Path("recipe.yaml").write_text(RECIPE)

    def carry_out(*overrides: str, recipe: str = "recipe.yaml") -> Path:
        code, said = realism("run", recipe, *overrides)
        assert code == 0, said
        return Path(said.split()[0])

    return carry_out


def test_measures_and_pictures_of_the_same_prompts_stand_side_by_side(make, realism):
    one, other = make(), make("generator.size=16")
    before = {folder: kill.contents(folder) for folder in (one, other)}
    code, said = realism("compare", str(one), other.name)
    assert code == 0, said
    [page] = Path("runs").glob("compare-*.html")
    assert said == f"comparison: {page}"
    text = page.read_text()
    assert "parts.generator.size" in text and "colour" in text and "a red square number 0" in text
    assert text.count("data:image/") == 12
    assert {folder: kill.contents(folder) for folder in (one, other)} == before, "runs are only read"
    assert realism("compare", str(one), str(other), "--out", "page.html")[1] == "comparison: page.html"


def test_only_prompts_that_all_runs_have_are_shown_and_the_same_of_each(make):
    folders = [
        make(f"prompts.count={n}", f"steps[2].evaluate.by={by}") for n, by in ((40, "[]"), (30, "novel"), (60, "[]"))
    ]
    found = compared(folders, QUIET).runs
    ids = [[prompt.id for prompt in run.prompts] for run in found]
    assert ids[0] == ids[1] == ids[2] and len(ids[0]) == 12
    assert {int(one.removeprefix("p")) for one in ids[0]} <= set(range(30))


def test_a_prompt_of_one_id_and_another_text_is_another_prompt(make):
    lines = [{"id": "p000", "text": "a red house"}, {"id": "p001", "text": TEXT}]
    Path("prompts.jsonl").write_text("\n".join(map(json.dumps, lines)))
    one, other = make(), make("prompts={use: prompt_file, path: prompts.jsonl}")
    assert [[p.text for p in run.prompts] for run in compared([one, other], QUIET).runs] == [[TEXT], [TEXT]]


def test_measures_are_those_of_all_seeds(make):
    found = compared([make("seeds=3", "prompts.count=8"), make()], QUIET).runs
    [row] = [row for row in found[0].measures if row.name == "colour"]
    assert (row.n, row.detail["seeds"]) == (24, [0, 1, 2])
    assert [run.seeds for run in found] == [(0, 1, 2), (0,)]


def test_runs_of_other_recipes_can_be_compared_which_is_said(make, realism):
    Path("other.yaml").write_text(RECIPE.replace("count: 6", "count: 5"))
    one, other = make(), make(recipe="other.yaml")
    code, said = realism("compare", str(one), str(other))
    assert (code, said.splitlines()[0]) == (0, "note: these are runs of different recipes: other, recipe")


def test_a_run_that_failed_is_compared_as_far_as_it_came(make, realism, monkeypatch):
    one = make()
    with monkeypatch.context() as patched:
        patched.setattr("toys.ToyReward.score", lambda *_: 1 / 0)
        realism("run", "recipe.yaml", "seed=1", "--out", "failed")
    failed = compared([one, Path("failed")], QUIET).runs[1]
    assert failed.state == "failed" and "ZeroDivisionError" in failed.error
    assert failed.measures == () and len(failed.prompts) == 6


def test_moved_runs_without_their_recipe_are_compared(make, realism):
    folders = [make(), make("seed=1")]
    for number, folder in enumerate(folders):
        shutil.move(folder, f"moved{number}")
    Path("recipe.yaml").unlink()
    assert realism("compare", "moved0", "moved1")[0] == 0


def test_what_has_nothing_in_common_is_not_compared(make, realism):
    Path("prompts.jsonl").write_text('{"text": "a red house"}\n')
    one, other = make(), make("prompts={use: prompt_file, path: prompts.jsonl}", "steps=[generate]")
    assert realism("compare", str(one), str(other)) == (
        2,
        "realism: these runs have neither a measure nor a prompt in common; their measures: "
        f"'{one}': colour; '{other}': none",
    )


def test_runs_are_found_by_name_and_a_wrong_one_is_told(make, realism):
    make()
    assert realism("compare", "recipe", "recipe")[1] == "realism: 'runs/recipe' is named twice; name two different runs"
    assert realism("compare", "recipe", "runs/../runs/recipe/")[0] == 2
    assert realism("compare", "recipe")[1] == "realism: 'runs/recipe' is one run; name two or more to compare"
    assert realism("compare", "recipe", "recip") == (
        2, "realism: 'recip' is not the folder of a run; did you mean 'recipe'?"
    )  # fmt: skip
    Path("runs/recipe/run.json").write_text("{")
    assert "'runs/recipe/run.json' is damaged" in realism("compare", "recipe", str(make("seed=1")))[1]


@pytest.mark.parametrize("out", ["mine.txt", "/dev/null", "mine.html", "link.html", "runs"])
def test_a_comparison_is_a_new_page_and_replaces_nothing(make, realism, out):
    one, other = make(), make("seeds=2")
    for name in ("mine.txt", "mine.html"):
        Path(name).write_text("precious")
    Path("link.html").symlink_to("mine.txt")
    code, said = realism("compare", str(one), str(other), "--out", out)
    assert code == 2 and ("expected a file that ends in .html" in said or "is there already" in said)
    assert Path("mine.txt").read_text() == Path("mine.html").read_text() == "precious"
