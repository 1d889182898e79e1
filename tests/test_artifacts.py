"""Artifacts: what a step lacks is said before anything runs, and what no longer holds is gone."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from realism.base.errors import RealismError
from realism.data.artifacts import (
    KINDS,
    Artifact,
    Exhibits,
    ImageIndex,
    Maps,
    Measures,
    PromptTable,
    References,
    Samples,
    ScoreTable,
    Selection,
    Weights,
)
from realism.data.inventory import Inventory
from realism.data.state import State

NAMES = st.text(min_size=1, max_size=80)


ARTIFACTS = st.sampled_from(
    [
        *(Samples("a"), Samples("b"), ScoreTable("a", "r"), ScoreTable("a", "s"), ScoreTable("b", "r"), Maps("a", "r")),
        *(
            Weights("r"),
            ImageIndex("r"),
            References("r"),
            References("s"),
            Selection("a", 1),
            PromptTable(),
            Measures(),
        ),
    ]
)


def state(*made: Artifact) -> State:
    """Artifacts, made one after the other."""
    available = State()
    for number, artifact in enumerate(made):
        available = available.after({artifact: Path(f"step-{number}")}, f"made {number}")
    return available


def test_what_tells_of_something_that_is_made_anew_is_gone():
    available = state(
        Samples("a"),
        Samples("b"),
        ScoreTable("a", "r"),
        Maps("a", "r"),
        ScoreTable("b", "r"),
        Selection("a", 1),
        Measures(),
    )
    after = available.after({Samples("a"): Path("anew")}, "anew")
    assert list(after) == [Samples("a"), Samples("b"), ScoreTable("b", "r"), Selection("a", 1), Measures()]
    assert after.path(Samples("a")) == Path("anew")


def test_what_is_made_together_with_what_it_tells_of_stays():
    available = state(Samples("a"), ScoreTable("a", "r"), ScoreTable("a", "other"))
    narrowed = available.after({Samples("a"): Path("kept"), ScoreTable("a", "r"): Path("kept scores")}, "select")
    assert list(narrowed) == [Samples("a"), ScoreTable("a", "r")]


def test_what_tells_of_something_that_is_gone_is_gone_too():
    from realism_realrag.tables import Negatives

    available = state(PromptTable(), ImageIndex("r"), Negatives("r"), References("r"))
    trained = available.after({Weights("r"): Path("weights")}, "train")
    assert list(trained) == [PromptTable(), References("r"), Weights("r")], (
        "references were found, whatever is learnt later"
    )
    assert References("r") not in available.after({PromptTable(): Path("others")}, "prompts")


def test_what_is_not_there_is_said_with_what_is_and_the_nearest_name():
    available = state(Samples("none"), Samples("retrieved"), ScoreTable("none", "faithful"))
    assert Samples("retrived").missing_message(available) == (
        "no arm 'retrived'; arms here: none, retrieved; did you mean 'retrieved'?"
    )
    assert ScoreTable("none", "beauty").missing_message(available) == (
        "no score 'beauty' of arm 'none'; scores here: faithful; put a step 'score' before this"
    )
    assert ScoreTable("retrieved", "faithful").missing_message(available) == (
        "no score 'faithful' of arm 'retrieved'; put a step 'score' before this"
    )
    assert PromptTable().missing_message(available) == "no prompts; give the recipe the key 'prompts'"
    with pytest.raises(RealismError, match="no arm 'other'"):
        available.path(Samples("other"))


@given(st.sampled_from(sorted(KINDS)), NAMES, NAMES)
def test_any_artifact_comes_back_from_the_files_of_a_run(kind, first, second):
    cls = KINDS[kind]
    numbered = {"number", "fit"}
    artifact = cls(*(3 if f.name in numbered else name for f, name in zip(fields(cls), (first, second), strict=False)))
    assert Artifact.from_json(artifact.as_json()) == artifact


@given(NAMES, NAMES)
def test_two_artifacts_of_one_step_never_lie_in_one_place(first, second):
    for cls in (Samples, Exhibits, References):
        assert (cls(first).place == cls(second).place) == (first == second)
        assert ".." not in Path(cls(first).place).parts and len(Path(cls(first).place).name) < 120


@given(
    st.lists(
        st.sampled_from([Samples("a"), ScoreTable("a", "r"), Weights("r"), ImageIndex("r"), PromptTable()]), min_size=1
    )
)
def test_nothing_that_is_there_tells_of_something_newer(made):
    available = Inventory[Artifact]()
    since: dict[Artifact, int] = {}
    for number, artifact in enumerate(made):
        available.make([artifact])
        since[artifact] = number
    for artifact in available:
        assert all(since.get(told, -1) < since[artifact] for told in artifact.derives_from())


@given(made=st.lists(st.lists(ARTIFACTS, max_size=3), max_size=20))
def test_what_is_there_is_found_as_by_a_look_at_all_of_it(made):
    available = Inventory[Artifact]()
    plain: list[Artifact] = []
    for some in made:
        said = available.make(some)
        gone: set[Artifact] = set()
        while more := {
            a for a in plain if a not in some and a not in gone and gone.union(some) & set(a.derives_from())
        }:
            gone |= more
        assert set(said) == gone
        moved = {a for a in some if a.last_counts}
        plain = [a for a in plain if a not in gone and a not in moved]
        plain += [a for a in dict.fromkeys(some) if a not in plain]
    assert list(available) == plain
    assert Samples.among(available) == [a for a in plain if isinstance(a, Samples)]
    assert ScoreTable.among(available, "a") == [a for a in plain if isinstance(a, ScoreTable) and a.arm == "a"]
    assert ScoreTable.among(available, "a", "r") == [a for a in plain if a == ScoreTable("a", "r")]


def test_a_kind_is_called_by_one_name_only():
    with pytest.raises(TypeError, match="two kinds of artifact are called 'samples'"):

        class Other(Artifact):
            kind = "samples"
