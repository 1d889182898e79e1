"""How a report shows pictures: where arms differ and where they fail first, the pair beside one another."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from realism.report.build import build
from realism.report.view import Answer, PictureView, PromptView, ReportView, WorstView
from test_report import NASTY, in_chromium, needs_chromium, paint, words
from test_report_verdicts import EMPTY

SCORES = {"small": (0.5, 0.6), "worse": (0.9, 0.2), "better": (0.1, 0.6), "equal": (0.3, 0.3)}
"""By prompt, the score of the control and of the other arm."""


@pytest.fixture
def view(tmp_path: Path) -> ReportView:
    """Two arms that differ much, little and not at all."""
    prompts = []
    for name, (before, after) in SCORES.items():
        one = PictureView("none", 1, paint(tmp_path / f"{name}0.png"), {"clip": before, "loss": after})
        two = PictureView("given", 1, paint(tmp_path / f"{name}1.png"), {"clip": after, "loss": before})
        prompts.append(PromptView(name, f"a {name} change", "", "", (one, two), 2))
    arms, lower = ("none", "given"), frozenset({"loss"})
    return replace(EMPTY, arms=arms, control="none", prompts=tuple(prompts), prompt_count=4, lower_is_better=lower)


def order(page: str) -> list[str]:
    return re.findall(r"<h3>a (\w+) change</h3>", page)


def test_prompts_that_differ_most_between_arms_come_first(view: ReportView, tmp_path: Path) -> None:
    assert order(build(view, tmp_path / "report.html").read_text()) == ["worse", "better", "small", "equal"]
    alone = tuple(replace(prompt, pictures=prompt.pictures[:1]) for prompt in view.prompts)
    one_arm = replace(view, arms=("none",), prompts=alone)
    page = build(one_arm, tmp_path / "one.html").read_text()
    assert order(page) == list(SCORES), "without another arm they keep their order"
    assert "greatest change" not in page and "worst score" in page


def test_pictures_stand_before_tables(view: ReportView, tmp_path: Path) -> None:
    page = build(view, tmp_path / "report.html").read_text()
    assert page.index('id="pictures"') < page.index('id="measures"')


def test_answers_say_right_or_wrong_in_words_too(view: ReportView, tmp_path: Path) -> None:
    first, *others = view.prompts
    answers = (Answer("Is it red?", "yes", "yes", True), Answer(NASTY, "two", "three", False))
    picture = replace(first.pictures[0], answers=answers)
    page = build(
        replace(view, prompts=(replace(first, pictures=(picture,)), *others)), tmp_path / "report.html"
    ).read_text()
    assert "1 of 2 answers right ✓ Is it red? yes ✗ <script>alert(1)" in words(page)
    assert 'role="img" aria-label="right">✓' in page and 'role="img" aria-label="wrong">✗' in page
    assert "two , expected three" in words(page) and "<script>alert" not in page


def test_the_worst_pictures_of_each_arm_have_a_place(view: ReportView, tmp_path: Path) -> None:
    pictures = tuple((prompt.text, prompt.pictures[1]) for prompt in view.prompts)
    worst = (WorstView("given", "clip", pictures), WorstView("none", "loss", pictures))
    said = words(build(replace(view, worst=worst), tmp_path / "report.html").read_text())
    assert "given lowest clip" in said and "none highest loss" in said and "0.200 a worse change" in said


@needs_chromium
@pytest.mark.parametrize(
    ("by", "reward", "expected"),
    [
        ("loss", "clip", "worse, equal, small, better"),
        ("gain", "loss", "worse, equal, small, better"),
        ("worst", "clip", "better, worse, equal, small"),
    ],
)
def test_prompts_can_be_sorted(by: str, reward: str, expected: str, view: ReportView, tmp_path: Path) -> None:
    build(replace(view, lower_is_better=frozenset()), tmp_path / "report.html")
    act = (
        "(form=>{form.elements.reward.value='%s';form.elements.order.value='%s';"
        "form.elements.order.dispatchEvent(new Event('input',{bubbles:true}));"
        "return [...page.querySelectorAll('.prompt h3')].map(h=>h.textContent.split(' ')[1]).join(', ')})"
        "(page.querySelector('form.filters'))"
    )
    assert in_chromium(tmp_path, 900, act % (reward, by)) == expected


@needs_chromium
def test_a_pair_is_enlarged_side_by_side_and_arrows_go_on(view: ReportView, tmp_path: Path) -> None:
    build(view, tmp_path / "report.html")
    look = "(box=>box.querySelectorAll('figure').length+' '+box.querySelector('.title').textContent)(dialog)"
    act = (
        "(dialog=>{page.querySelectorAll('.shot')[1].click();const first=%s;"
        "dialog.dispatchEvent(new KeyboardEvent('keydown',{key:'ArrowRight'}));"
        "return first+'; '+%s+'; '+dialog.querySelector('.place').textContent})(page.querySelector('dialog'))"
    )
    assert in_chromium(tmp_path, 900, act % (look, look)) == "2 a worse change; 2 a better change; 2 of 4"
