"""What somebody who holds several runs side by side relies on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from realism.report.compare import ComparedRun, CompareView, build_comparison, settings, tables
from realism.report.view import PictureView, PromptView
from test_report import NASTY, in_chromium, measure, needs_chromium, paint, words

RECIPE = {
    "description": "one",
    "parts": {"generator": {"use": "toy", "size": 8}},
    "steps": [{"generate": {"name": "none"}}, {"retrieve": {"k": 1}}, {"generate": {"name": "retrieved"}}, "report"],
}
ROWS = (
    measure("species", "without", "novel", 53 / 480, 0.035, detail={"reader": "garden 1.0"}),
    measure(
        "species", "zero-shot", "novel", 355 / 480, 0.04,
        difference=0.629, difference_low=0.59, difference_high=0.67, detail={"reader": "garden 1.0"},
    ),
)  # fmt: skip


@pytest.fixture
def view(tmp_path: Path) -> CompareView:
    """Two runs of one recipe, of which the second has more steps, fewer pictures and was stopped."""
    made = [PictureView(arm, 7, paint(tmp_path / f"{arm}.png"), {"species": 1.0}) for arm in ("without", "zero-shot")]
    rose, other = PromptView("p", NASTY, "rose", "", tuple(made)), PromptView("q", "Only here", "", "", tuple(made))
    parts = {"generator": {"use": "toy", "size": 16}}
    longer = {**RECIPE, "description": "two", "parts": parts, "steps": [{"index": {}}, *RECIPE["steps"]]}  # type: ignore[misc]
    one = ComparedRun("rag", "runs/one", "done", "", RECIPE, ROWS, (other, rose))
    two = ComparedRun("rag", "runs/two", "stopped", NASTY, longer, ROWS[:1], (replace(rose, pictures=tuple(made[:1])),))
    return CompareView((one, two))


def test_what_differs_between_recipes_is_shown_and_one_step_more_moves_no_other(view: CompareView) -> None:
    assert settings(view) == [("parts.generator.size", ["8", "16"]), ("steps.index", ["–", "yes"])]


def test_each_run_has_its_own_interval_and_no_run_is_called_better(view: CompareView, tmp_path: Path) -> None:
    [species] = tables(view)
    (_, arm, (first, second)), (_, _, (_, missing)) = species.lines
    assert (arm, missing) == ("without", None)
    assert first is not None and second is not None and first.interval == second.interval == "[8, 15]"
    page = build_comparison(view, tmp_path / "report.html").read_text(encoding="utf-8")
    said = words(page).replace("\u202f", " ")
    assert "11 % [8, 15] n = 480" in said and "not measured" in said
    assert 'class="change' not in page and "makes no claim that two of them differ" in said


def test_states_errors_and_the_same_prompts_stand_side_by_side(view: CompareView, tmp_path: Path) -> None:
    page = build_comparison(view, tmp_path / "report.html").read_text(encoding="utf-8")
    said = words(page)
    assert "one rag done 0" in said and "two rag stopped <script>alert(1)</script>" in said
    assert "<script>alert" not in page
    assert "Pictures 2 of 2 prompts" in said and "none made" in said
    assert said.index("rose p") < said.index("Only here"), "what several runs have comes first"


def test_runs_of_one_folder_name_are_told_apart_by_the_folders_above(view: CompareView, tmp_path: Path) -> None:
    here, available = (replace(run, folder=f"{above}/run") for run, above in zip(view.runs, ("a", "b"), strict=True))
    said = words(build_comparison(CompareView((here, available)), tmp_path / "report.html").read_text())
    assert "a/run · b/run" in said


def test_runs_without_anything_make_a_page_that_says_so(tmp_path: Path) -> None:
    nothing = CompareView((ComparedRun("a", "a", "under way"), ComparedRun("b", "b", "under way")))
    said = words(build_comparison(nothing, tmp_path / "report.html").read_text())
    assert "the recipes are the same" in said and "has measured anything" in said and "no pictures to show" in said


PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
NESTED = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))


@given(st.dictionaries(st.text(max_size=3), NESTED, max_size=3))
def test_recipes_that_are_the_same_differ_in_nothing(recipe: dict) -> None:
    runs = [ComparedRun("a", str(number), "done", recipe=recipe) for number in range(2)]
    assert settings(CompareView(tuple(runs))) == []


@needs_chromium
@pytest.mark.parametrize("width", [390, 1280])
def test_a_comparison_does_not_scroll_sideways(width: int, view: CompareView, tmp_path: Path) -> None:
    build_comparison(view, tmp_path / "report.html")
    root = "page.documentElement"
    inside, frame = in_chromium(tmp_path, width, f"{root}.scrollWidth+' '+{root}.clientWidth").split()
    assert int(inside) <= int(frame) <= width
