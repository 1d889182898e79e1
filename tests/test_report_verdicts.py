"""What a report's verdicts are worth: nothing is better that is shown as nothing, or by a judge in doubt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from realism.data.rows import Measure
from realism.measuring.reliability import CHANCE, ENCODERS, reliability_warnings
from realism.report.build import build
from realism.report.cells import Change
from realism.report.measures import headline, tables
from realism.report.view import ReportView, StepView
from test_report import measure, words

EMPTY = ReportView("run", "", "", "", (), (), 0, (), (), (), 0, {})


def compared(difference: float, half: float, value: float = 0.5, width: float = 0.05, **more: object) -> list[Measure]:
    """A control, and an arm with so great a difference to it."""
    ends = {"difference": difference, "difference_low": difference - half, "difference_high": difference + half}
    before = measure("m", "without", "all", value, width, **more)
    return [before, measure("m", "with", "all", value + difference, width, **ends, **more)]


def changes(rows: Sequence[Measure]) -> Iterator[Change]:
    """All that is said of differences in tables, and in those of many classes."""
    for table in tables(replace(EMPTY, measures=tuple(rows))):
        cells = [cell for line in table.lines for cell in line.cells]
        cells += [cell for classes in table.classes for _, line in classes.lines for cell in line]
        yield from (cell.change for cell in cells if cell and cell.change)


def numbers(change: Change) -> list[float]:
    """The numbers of a change as they are shown."""
    texts = [change.text, *change.interval.strip("[]").split(", ")]
    return [float(re.sub("[+,]", "", text).replace("−", "-")) for text in texts]


SIZES = st.floats(-1, 1) | st.floats(-1e-9, 1e-9) | st.sampled_from([0.0, 1e-17, -1e-17, 4e-7, 1e-3])
ROWS = st.lists(
    st.tuples(SIZES, st.floats(0, 1) | st.sampled_from([0.0, 1e-18, 1e-3]), st.floats(-2, 2), st.floats(0, 1)),
    min_size=1,
    max_size=4,
)


@given(ROWS, st.sampled_from(["share", "cosine"]), st.booleans())
def test_no_verdict_stands_beside_a_zero(cases: list[tuple[float, ...]], unit: str, many: bool) -> None:
    by = {"by": "subject"} if many else {}
    rows = []
    for number, (difference, half, value, width) in enumerate(cases * (3 if many else 1)):
        pair = compared(difference, half, value, width, detail={"unit": unit} | by)
        rows += [replace(row, group=f"group {number}") for row in pair]
    for change in changes(rows):
        if change.verdict in ("better", "worse"):
            shown = numbers(change)
            assert 0 not in shown and len({number > 0 for number in shown}) == 1, change


@pytest.mark.parametrize("small", [4e-4, 4e-7])
def test_a_difference_that_rounds_to_nothing_is_no_difference(small: float) -> None:
    mean = {"detail": {"unit": "mean"}}
    rows = [*compared(0.4, 0.1, **mean), *(replace(r, group="few") for r in compared(small, small / 4, **mean))]
    [first, second] = changes(rows)
    assert (first.verdict, second.verdict) == ("better", "within")
    assert second.text.strip("0.") == "" and "reaches 0" in second.why
    told = headline(replace(EMPTY, measures=tuple(rows)))
    assert (told.compared, told.beyond) == (2, 1), "nor is it counted among those beyond their intervals"


def test_an_interval_that_is_shown_as_ending_at_zero_does_not_exclude_it() -> None:
    rows = [*compared(0.4, 0.1), *(replace(r, group="few") for r in compared(0.0502, 0.05))]
    assert [change.verdict for change in changes(rows)] == ["better", "within"]


def test_what_is_paired_is_shown_as_finely_as_its_own_interval_asks() -> None:
    [change] = changes(compared(-0.007, 0.004, 0.548, 0.05))
    assert (change.text, change.interval, change.verdict) == ("−0.007", "[−0.011, −0.003]", "worse")


@pytest.mark.parametrize("value", [0.3, 1.0, 25_000.0])
def test_the_rounding_of_floats_is_no_finding(value: float) -> None:
    noise = 1e-16 * value
    [only] = headline(replace(EMPTY, measures=(*compared(noise, 0.0, value), *other()))).findings
    assert only.measure == "other", "it is not infinitely strong either"
    for half in (0.0, noise / 10):
        [change] = changes(compared(noise, half, value))
        assert (change.verdict, change.text.strip("0.")) == ("within", "")


def other() -> list[Measure]:
    return [replace(row, name="other") for row in compared(0.4, 0.3)]


def test_the_console_says_why_too() -> None:
    [finding] = headline(replace(EMPTY, measures=tuple(compared(0.2, 0.1)))).findings
    assert finding.sentence.endswith("with with (n = 480): +20 points [+10, +30], better, the interval excludes 0")


def beside_chance(name: str, arm: str, value: float, half: float, chance: float, **detail: object) -> list[Measure]:
    ends = {"difference": value - chance, "difference_low": value - half - chance, "difference_high": value + half}
    about = {"unit": "share", **detail}
    found = measure(name, arm, "all", value, half, control=CHANCE, detail=about, **ends)
    return [found, measure(name, CHANCE, "all", chance, control="", detail={"unit": "share"})]


JUDGE = "judge (some/model)"
BY_JUDGE = {ENCODERS: [JUDGE]}


def test_a_judge_that_fails_on_real_images_calls_nothing_better(tmp_path: Path) -> None:
    asked = beside_chance("zero-shot accuracy on real images", JUDGE, 0.1, 0.05, 0.09, **BY_JUDGE)
    rows = [*compared(0.2, 0.1, detail=BY_JUDGE), *asked]
    told = headline(replace(EMPTY, measures=tuple(rows)))
    assert [f.change.verdict for f in told.findings] == ["unreliable"]
    assert (told.compared, told.beyond, told.unreliable) == (1, 1, 1)
    view = replace(EMPTY, measures=tuple(rows), alerts=tuple(("evaluate", one) for one in reliability_warnings(rows)))
    page = build(view, tmp_path / "report.html").read_text()
    assert 'class="change better' not in page
    assert f"The encoder {JUDGE} names 10 % [5.0, 15] of 480 real images correctly, where chance" in words(page)
    assert "measures that rest on it say little here: m" in words(page)


def test_a_judge_that_names_real_images_is_believed() -> None:
    rows = [*compared(0.2, 0.1, detail=BY_JUDGE), *beside_chance("named", JUDGE, 0.6, 0.05, 0.09, **BY_JUDGE)]
    assert list(reliability_warnings(rows)) == []
    assert [f.change.verdict for f in headline(replace(EMPTY, measures=tuple(rows))).findings] == ["better"]


def test_what_others_say_comes_before_what_a_judge_in_doubt_says() -> None:
    asked = beside_chance("named", JUDGE, 0.1, 0.05, 0.09, **BY_JUDGE)
    rows = [*compared(0.4, 0.01, detail=BY_JUDGE), *asked, *other()]
    assert [f.measure for f in headline(replace(EMPTY, measures=tuple(rows))).findings] == ["other", "m"]


def test_references_near_chance_are_said_with_their_figures() -> None:
    near = beside_chance("retrieval precision@1", "retrieved", 0.1, 0.05, 0.08)
    [said] = reliability_warnings(near)
    assert "references of 'retrieved' show the right subject for 10 % [5.0, 15] of 480 prompts" in said
    assert list(reliability_warnings(beside_chance("retrieval precision@1", "retrieved", 0.5, 0.05, 0.08))) == []
    [said] = reliability_warnings(beside_chance("retrieval precision@1", "retrieved", 0.0, 0.0, 0.0))
    assert "no image that could be found for 'retrieved' has a subject that the prompts ask for" in said


def test_a_stopped_run_begins_with_its_error_and_says_what_was_done(tmp_path: Path) -> None:
    steps = (StepView("index", "a", 1.0, 1, "images"), StepView("generate none", "b", 1.0, 1, "images"))
    view = replace(EMPTY, steps=steps, error="step 'score': no space is left on the disk")
    said = words(build(view, tmp_path / "report.html").read_text())
    begin = said.index("This run stopped step 'score': no space is left on the disk")
    assert begin < said.rindex("Realism report"), "nothing but the window's title stands before it"
    assert "the run stopped before a step 'evaluate' was done. Done: index, generate none." in said
    said = words(build(replace(view, error=""), tmp_path / "whole.html").read_text())
    assert "no step 'evaluate' was done. Done: index, generate none." in said and "This run stopped" not in said


def test_notes_are_shown_once_each_near_the_top_and_not_without_end(tmp_path: Path) -> None:
    notes = tuple(("index", f"note {number}") for number in range(60))
    alerts = (("evaluate", "all is in doubt"),)
    view = replace(EMPTY, notes=(*notes, notes[0], ("evaluate", "evaluate: all is in doubt")), alerts=alerts)
    said = words(build(view, tmp_path / "report.html").read_text())
    assert said.count("Note 0.") == 1 and "Note 49." in said and "Note 50." not in said
    assert "The first 50 of 60" in said and said.count("in doubt") == 1
    assert said.index("All is in doubt.") < said.index("Note 0.") < said.index("Nothing was measured")
    assert "Notes" not in words(build(EMPTY, tmp_path / "none.html").read_text())


def test_a_handful_of_images_gives_no_verdict_but_several_seeds_may():
    for n, detail, verdict in ((4, {}, "unsure"), (8, {}, "better"), (4, {"seeds": [0, 1, 2]}, "better")):
        rows = [replace(row, n=n, detail=row.detail | detail) for row in compared(0.2, 0.05)]
        assert [change.verdict for change in changes(rows)] == [verdict], (n, detail)
