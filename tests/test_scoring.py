"""The step `score`: several values, references and details, and what a reward does that breaks its contract."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import toys
from PIL import Image
from realism import RealismError, Scores
from realism.base.errors import RecipeError
from realism.base.tables import read as rows
from realism.data import artifacts
from realism.data.artifacts import Measures, Samples
from realism.data.condition import Condition
from realism.data.rows import Heatmap, Measure, Sample, Score
from world import RAG

CRITIC = """\
parts:
  generator: {use: toy}
  critic: {use: toy_critic}
  colour: {use: toy_colour}
prompts: {use: toy_prompts, count: 8}
steps:
  - generate: {per_prompt: 3, name: all}
  - score: {rewards: [critic, colour]}
"""


def measures(state):
    return {(m.name, m.arm): m for m in rows(state.path(Measures()), Measure) if m.group == "all"}


def test_each_of_several_values_is_a_score_of_its_own(run, write_recipe):
    state = run(write_recipe(CRITIC + "  - evaluate: {}\n  - report: {}\n")).execute()
    names = ["critic.plausibility", "critic.brightness", "colour"]
    assert [scores.reward for scores in artifacts.ScoreTable.among(state)] == names
    tables = {name: list(rows(state.path(artifacts.ScoreTable("all", name)), Score)) for name in names}
    assert {name: len(table) for name, table in tables.items()} == dict.fromkeys(names, 24)
    assert all(row.reward == name for name, table in tables.items() for row in table)
    told = measures(state)
    assert told["critic.plausibility", "all"].value == told["colour", "all"].value
    assert [told[name, "all"].higher_is_better for name in names] == [True, False, True]


def test_maps_are_kept_as_small_grey_pictures_and_shown_over_their_picture(run, write_recipe):
    done = run(write_recipe(CRITIC + "  - report: {}\n"))
    [step] = done.folder.glob("steps/score-*")
    maps = list(rows(step / "maps/all/critic", Heatmap))
    assert len(maps) == 24 and {row.name for row in maps} == {"dark"}
    image = Image.open(done.folder / maps[0].image)
    assert image.mode == "L" and max(image.size) <= 128
    assert (done.folder / "report.html").read_text().count(">critic.dark<") == 24


def test_details_are_kept_once_with_the_first_value(run, write_recipe):
    state = run(write_recipe(CRITIC)).execute()
    kept = {
        name: [row.detail for row in rows(state.path(artifacts.ScoreTable("all", f"critic.{name}")), Score)]
        for name in toys.ToyCritic.outputs
    }
    assert all("dark" in detail for detail in kept["plausibility"]) and not any(kept["brightness"])


def test_a_condition_names_one_of_several_values(run, write_recipe):
    select = '  - select: {where: "critic.plausibility >= 0.5 and not critic.brightness > 0.42 and colour > 0.9"}\n'
    state = run(write_recipe(CRITIC + select)).execute()
    kept = {sample.subject for sample in rows(state.path(Samples("all")), Sample)}
    assert kept == {"red", "green"}, "the generator knows no blue, and grey is brighter"


def test_the_best_by_one_of_several_values_is_the_least_where_less_is_better(run, write_recipe):
    state = run(write_recipe(CRITIC + "  - select: {best: critic.brightness}\n")).execute()
    given = {r.id: r.value for r in rows(state.path(artifacts.ScoreTable("all", "critic.brightness")), Score)}
    kept = {sample.prompt_id: sample.id for sample in rows(state.path(Samples("all")), Sample)}
    assert len(kept) == 8
    for prompt, best in kept.items():
        assert given[best] == min(value for id, value in given.items() if id.startswith(prompt))


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        (
            "{where: critic > 0.5}",
            "scores here: colour, critic.brightness, critic.plausibility",
        ),
        ("{where: critic.britness > 0.5}", "did you mean 'critic.brightness'?"),
        ("{where: critic.plausibility}", "expected one of < <= == != >= > in after 'critic.plausibility'"),
        (
            "{best: critic}",
            "scores here: colour, critic.brightness, critic.plausibility",
        ),
    ],
)
def test_a_value_that_is_not_there_is_said_with_those_there_are(read, write_recipe, step, sentence):
    with pytest.raises(RecipeError) as error:
        read(write_recipe(f"{CRITIC}  - select: {step}\n"))
    assert sentence in str(error.value)


@pytest.mark.parametrize("text", ["a.b.c > 1", "a.__class__ == 1", "a._b == 1", "f().b > 1", "a[0].b > 1"])
def test_a_name_has_one_dot_and_reaches_no_attribute(text):
    with pytest.raises(RealismError, match="is neither a name, a number, a text nor a list"):
        Condition(text)


def test_a_name_with_a_dot_is_a_column_and_nothing_else():
    condition = Condition("a.real >= 0.5")
    assert condition.names == {"a.real"} and condition({"a.real": 0.5})
    assert not condition({"a": 1.0}), "a number's own attribute is not a column"


def test_a_value_without_an_answer_is_skipped_and_the_others_stay(run, write_recipe, monkeypatch):
    good = toys.ToyCritic.score

    def score(self, pictures):
        said = good(self, pictures)
        nothing = torch.tensor([float("nan") if p.prompt.id == "p001" else 1.0 for p in pictures])
        return replace(said, values={**said.values, "plausibility": nothing})

    monkeypatch.setattr(toys.ToyCritic, "score", score)
    made = run(write_recipe(CRITIC))
    state = made.execute()
    plausible, bright = (
        list(rows(state.path(artifacts.ScoreTable("all", f"critic.{name}")), Score)) for name in toys.ToyCritic.outputs
    )
    assert len(plausible) == 21 and not any(row.id.startswith("p001") for row in plausible)
    assert len(bright) == 24 and [row.id[:4] for row in bright if row.detail] == ["p001"] * 3
    assert "critic.plausibility gave nan for arm all" in (made.folder / "skipped.csv").read_text()


def test_only_a_reward_that_uses_references_is_given_them_and_no_picture_without(run, write_recipe, monkeypatch):
    given = {}
    for kind in (toys.ToyLikeness, toys.ToyReward):
        good = kind.score

        def score(self, pictures, good=good):
            given.setdefault(self.part_name, []).extend(len(p.references) for p in pictures)
            return good(self, pictures)

        monkeypatch.setattr(kind, "score", score)
    run(write_recipe())
    assert given == {"colour": [0] * 24, "likeness": [1] * 12}


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (lambda good: good.values, "score gave a dict, not Scores"),
        (
            lambda good: Scores(good.values["brightness"]),
            "expected values by name, not",
        ),
        (lambda good: replace(good, details=good.details[1:]), "6 pictures gave 5 details, neither 6 nor none"),
        (lambda good: replace(good, maps={}), "there is no map 'dark', which is one of 'map_names'"),
        (lambda good: replace(good, maps={"dark": [np.ones((2, 2)) * 2] * 6}), "a map 'dark' goes from 2 to 2, not"),
    ],
)
def test_a_reward_that_breaks_its_contract_is_named(run, write_recipe, monkeypatch, said, sentence):
    good = toys.ToyCritic.score
    monkeypatch.setattr(toys.ToyCritic, "score", lambda self, pictures: said(good(self, pictures)))
    with pytest.raises(RealismError) as error:
        run(write_recipe(CRITIC.replace("per_prompt: 3", "shard: 6")))
    assert str(error.value).startswith("reward 'critic' of plugin 'toys' breaks its contract: ")
    assert sentence in str(error.value)


def test_a_reward_that_changes_references_spoils_no_others_scores(run, write_recipe, monkeypatch):
    good = toys.ToyLikeness.score

    def score(self, pictures):
        said = good(self, pictures)
        for picture in pictures:
            for one in picture.references:
                one.paste((0, 0, 0), (0, 0, *one.size))
        return said

    monkeypatch.setattr(toys.ToyLikeness, "score", score)
    twice = RAG.replace("likeness: {use: toy_likeness}", "likeness: {use: toy_likeness}\n  again: {use: toy_likeness}")
    state = run(write_recipe(twice.replace("[colour, likeness]", "[likeness, again]"))).execute()
    both = [
        [s.value for s in rows(state.path(artifacts.ScoreTable("retrieved", n)), Score)] for n in ("likeness", "again")
    ]
    assert both[0] == both[1] and min(both[0]) > 0.9


def test_two_values_of_one_name_are_refused(read, write_recipe):
    again = CRITIC.replace(
        "colour: {use: toy_colour}", "colour: {use: toy_colour}\n  critic.brightness: {use: toy_bright}"
    )
    with pytest.raises(RecipeError, match=r"critic\.brightness"):
        read(write_recipe(again.replace("[critic, colour]", "[critic, critic.brightness]")))


def test_a_reward_that_changes_its_pictures_spoils_no_others_scores(run, write_recipe, monkeypatch):
    bright = "  bright: {use: toy_bright}\n"
    recipe = CRITIC.replace("prompts:", bright + "prompts:").replace("[critic, colour]", "[bright, colour]")
    calm = list(rows(run(write_recipe(recipe)).execute().path(artifacts.ScoreTable("all", "colour")), Score))
    good = toys.ToyBright.score

    def score(self, pictures):
        said = good(self, pictures)
        for picture in pictures:
            picture.image.paste((0, 0, 0), (0, 0, *picture.image.size))
        return said

    monkeypatch.setattr(toys.ToyBright, "score", score)
    assert (
        list(rows(run(write_recipe(recipe), out="black").execute().path(artifacts.ScoreTable("all", "colour")), Score))
        == calm
    )


@pytest.mark.parametrize(("value", "fits"), [(1.0, True), (1.0005, True), (7.0, False), (-0.1, False)])
def test_a_value_outside_of_what_a_reward_says_it_gives_is_told(value, fits):
    from realism.parts.scores import scores_error

    reward = toys.ToyReward()
    reward.part_name = "colour"
    wrong = scores_error(reward, Scores(torch.tensor([value])), 1)
    assert (wrong is None) == fits
    assert fits or wrong == f"'colour' gave {value:g}, not within 0 to 1: widen its range, or scale the value"
