"""What `evaluate` and `project` say of arms, in the world of toys."""

from __future__ import annotations

import math
import shutil

import numpy as np
import pandas as pd
import pytest
from realism.base.errors import RealismError
from realism.base.features import FeatureRows
from realism.data.rows import NOT_KNOWN, Sample
from realism.measuring.arms import Arm, Gathered, Group
from realism.measuring.evaluation import REAL, ArmFeatures, measure_floor, measure_set
from realism.measuring.groups import ALL
from realism.measuring.measures import of_scores
from realism.measuring.relevance import relevance
from realism.measuring.retrieved import of_retrieved
from realism.report.format import Scale
from realism.testing.material import unit_rows
from toys import ToyDistance, ToyGenerator, ToyRetriever
from world import RAG

METRIC = ToyDistance(ToyRetriever())


def measures(run, name: str) -> pd.DataFrame:
    found = pd.read_parquet(next(run.folder.glob("steps/evaluate-*")) / "measures")
    return found[found.name == name].set_index(["group", "arm"])


def test_prompts_are_grouped_by_several_keys_and_by_subject(run, write_recipe):
    done = run(write_recipe(RAG.replace("by: novel", "by: [novel, subject]")))
    groups = measures(done, "colour").index.get_level_values("group").unique().tolist()
    assert groups == ["all", "False", "True", "red", "green", "blue", "grey"]
    page = (done.folder / "report.html").read_text()
    assert "By subject <small>4 of them" in page


def test_a_key_that_no_prompt_has_is_answered_with_those_there_are(run, write_recipe):
    with pytest.raises(RealismError, match=r"no prompt has 'novle'.*did you mean 'novel'.*novel, subject"):
        run(write_recipe(RAG.replace("by: novel", "by: novle")))


def test_an_arm_without_a_score_is_named(read, write_recipe):
    recipe = RAG.replace("likeness]}", "likeness], arms: [none]}")
    alone = recipe.replace("{metrics: [toy_distance], real: database, by: novel}", "{arms: [none, retrieved]}")
    with pytest.raises(RealismError, match="no score of arm 'retrieved'; put a step 'score' before this"):
        read(write_recipe(alone))


def test_a_table_says_what_real_images_score_at_the_same_number(run, write_recipe):
    found = measures(run(write_recipe()), "toy_distance")
    real = found.loc[("all", REAL)]
    assert real.n == 12, "as many as the arms have"
    assert math.isnan(real.difference) and real.low <= real.value <= real.high
    assert real.value < found.loc[("all", "none")].value
    assert found.loc[("True", REAL)].n == 3


def test_a_floor_holds_half_of_the_real_images_against_the_rest_where_they_are_few():
    real, subjects = unit_rows(9, 4), {f"r{i}": "" for i in range(9)}
    assert measure_floor(METRIC, FeatureRows.of(real), subjects, 100, 0)["n"] == 4
    assert measure_floor(METRIC, FeatureRows.of(real), subjects, 100, 0) == measure_floor(
        METRIC, FeatureRows.of(real), subjects, 100, 0
    )
    assert measure_floor(METRIC, FeatureRows.of(real[:3]), {"a": "", "b": "", "c": ""}, 100, 0) == {}


def test_both_halves_of_a_floor_have_each_subject_in_proportion():
    real = np.array([[1.0, 0.0]] * 20 + [[0.0, 1.0]] * 10)
    subjects = {f"r{i}": "rose" if i < 20 else "iris" for i in range(30)}
    assert measure_floor(METRIC, FeatureRows.of(real), subjects, 100, 0)["value"] == 0


def test_a_difference_of_distances_is_over_the_prompts_that_both_arms_have():
    random = np.random.default_rng(0)
    real, shared = random.normal(size=(40, 3)), random.normal(size=(20, 3)) + 1
    prompts = [f"p{i}" for i in range(20)]
    far = np.concatenate([shared, np.full((20, 3), 50.0)])
    arms = {
        "none": ArmFeatures(FeatureRows.of(shared), prompts),
        "more": ArmFeatures(FeatureRows.of(far), [*prompts, *(f"other {p}" for p in prompts)]),
    }
    none, more = measure_set(METRIC, arms, FeatureRows.of(real), "none", 0)
    assert more["value"] > 100 * none["value"]
    assert more["difference"] == more["difference_low"] == more["difference_high"] == 0


def test_arms_without_a_prompt_in_common_have_no_difference():
    arms = {name: ArmFeatures(FeatureRows.of(unit_rows(5, 3)), [f"{name}{i}" for i in range(5)]) for name in "ab"}
    assert [
        math.isnan(m.get("difference", math.nan))
        for m in measure_set(METRIC, arms, FeatureRows.of(unit_rows(9, 3)), "a", 0)
    ]


def test_real_images_that_show_nothing_of_the_prompts_are_refused(run, write_recipe, database):
    for folder in list(database.iterdir()):
        folder.rename(folder.with_name(f"{folder.name}ish"))
    with pytest.raises(RealismError, match=r"no image of 'database' shows what the prompts ask for, such as 'blue'"):
        run(write_recipe())


def test_a_group_without_real_images_of_its_own_is_left_out_with_a_note(run, write_recipe, database):
    (database / "blue").rename(database / "violet")
    done = run(write_recipe())
    groups = measures(done, "toy_distance").index.get_level_values("group").unique().tolist()
    assert groups == ["all", "False"]
    assert "group 'True' has no distances" in (done.folder / "log.txt").read_text()
    assert "1 of 4 subjects have none" in (done.folder / "report.html").read_text()


def test_a_report_names_the_seeds_and_their_interval(run, write_recipe):
    done = run(write_recipe("seeds: 2\n" + RAG))
    page = (done.folder / "report.html").read_text()
    assert "· 2 seeds ·" in page and "Student&#39;s t over 2 seeds" in page and ", of seed 0" in page


PROJECT = RAG.replace("  - report", "  - project: {real: database, encoder: retriever, by: novel}\n  - report")


def test_a_map_has_all_arms_the_retrieved_and_the_real_images(run, write_recipe):
    done = run(write_recipe(PROJECT))
    points = pd.read_parquet(next(done.folder.glob("steps/project-*")) / "points")
    assert points.groupby("kind").size().to_dict()["none"] == 12
    assert set(points.kind) == {"none", "retrieved", "(retrieved retriever)", REAL}
    assert points[points.kind == REAL].groupby("group").size().to_dict() == {"False": 18, "True": 6}
    assert np.isfinite(points[["x", "y"]]).all().all()
    page = (done.folder / "report.html").read_text()
    assert page.count('<path class="marks cross') == 3, "one in the legend and in each panel"


def test_a_map_takes_equal_shares_and_is_the_same_again(run, write_recipe):
    recipe = write_recipe(PROJECT.replace("retriever, by: novel", "retriever, most: 20"))
    one, two = (
        pd.read_parquet(next(run(recipe, out=out).folder.glob("steps/project-*")) / "points") for out in ("a", "b")
    )
    assert len(one) == 20 and (one.groupby("kind").size() >= 4).all()
    pd.testing.assert_frame_equal(one, two)


def test_each_picture_shows_the_references_it_was_given_whichever_step_found_them(run, write_recipe):
    again = "  - retrieve: {name: green, where: subject == 'green'}\n  - generate: {name: green, shard: 5}\n  - score"
    done = run(write_recipe(RAG.replace("  - score", again)))
    page = (done.folder / "report.html").read_text()
    shown = page.split('<article class="card prompt"')[1:]
    assert all(card.count('class="reference"') == 2 for card in shown)
    assert sum("not the subject of the prompt" in card for card in shown) == 9, "all but the green ones"


def test_right_references_are_counted_beside_what_chance_gives(run, write_recipe):
    found = measures(run(write_recipe()), "retrieval precision@1")
    right, chance = found.loc[("all", "retrieved")], found.loc[("all", "(chance)")]
    assert (right.value, right.high, right.n) == (1.0, 1.0, 12)
    assert chance.value == pytest.approx(0.25), "each of the four colours is a quarter of the database"
    assert right.difference == pytest.approx(0.75) and 0.25 < right.low < 1
    assert ("True", "retrieved") in found.index, "by group, as other measures"
    assert "none" not in found.index.get_level_values("arm"), "an arm without references has none of it"


def test_chance_is_over_what_could_be_found_and_of_several_any_may_be_right(run, write_recipe, monkeypatch):
    monkeypatch.setattr(ToyGenerator, "max_references", 4)
    recipe = RAG.replace("- retrieve: {}", "- retrieve: {k: 2, where: subject == 'red' or subject == 'green'}")
    done = run(write_recipe(recipe))
    first, either = (measures(done, f"retrieval {which}") for which in ("precision@1", "hit rate"))
    assert first.loc[("all", "(chance)")].value == pytest.approx(0.25), "half for red and green, none for the rest"
    assert first.loc[("all", "retrieved")].value == pytest.approx(0.5)
    assert either.loc[("all", "(chance)")].value == pytest.approx((2 * 0.75 + 0) / 4)


def test_nothing_is_said_of_subjects_where_the_database_has_none(run, write_recipe, database):
    for picture in list(database.rglob("*.png")):
        picture.rename(database / f"{picture.parent.name}-{picture.name}")
    recipe = RAG.replace("metrics: [toy_distance], real: database, ", "")
    assert measures(run(write_recipe(recipe)), "retrieval precision@1").empty


def lead_astray(monkeypatch, *but: str) -> None:
    """From now on the toy retriever takes every text for grey, but for parts of these names."""
    honest = ToyRetriever.encode_texts

    def encode_texts(self, texts):
        return honest(self, texts if self.part_name in but else ["grey"] * len(texts))

    monkeypatch.setattr(ToyRetriever, "encode_texts", encode_texts)


def said_in(done) -> str:
    return "".join(line for line in (done.folder / "log.txt").open() if " WARNING " in line)


def test_references_no_better_than_chance_are_said_loudly(run, write_recipe, monkeypatch):
    lead_astray(monkeypatch)
    done = run(write_recipe())
    page = (done.folder / "report.html").read_text()
    assert "the references of 'retrieved' show the right subject for 25 %" in said_in(done)
    assert page.index("Reliability") < page.index("references of &#39;retrieved&#39; show the right subject for 25 %")
    assert page.index("Reliability") < page.index("<main>")


def test_a_judge_is_asked_to_name_real_images_first(run, write_recipe):
    found = measures(run(write_recipe()), "zero-shot accuracy on real images")
    named, chance = found.loc[("all", "retriever (ToyRetriever)")], found.loc[("all", "(chance)")]
    assert (named.value, named.n, chance.value) == (1.0, 24, pytest.approx(0.25))


def test_a_judge_that_gives_always_one_answer_is_at_chance(run, write_recipe, database, monkeypatch):
    lead_astray(monkeypatch)
    for colour in ("red", "green"):
        shutil.rmtree(database / colour)
    for picture in list((database / "grey").iterdir())[1:]:
        picture.unlink()
    done = run(write_recipe())
    named = measures(done, "zero-shot accuracy on real images").loc[("all", "retriever (ToyRetriever)")]
    assert named.value > 0.8 and named.difference == pytest.approx(0)
    assert "the encoder retriever (ToyRetriever) names 86 %" in said_in(done)


def test_the_encoders_of_rewards_are_asked_too(run, write_recipe, monkeypatch):
    lead_astray(monkeypatch, "retriever")
    recipe = RAG.replace("likeness: {use: toy_likeness}", "likeness: {use: clip_t, encoder: {use: toy_retriever}}")
    done = run(write_recipe(recipe))
    assert "measures that rest on it say little here: likeness" in said_in(done)
    assert "toy_distance" not in said_in(done), "whose encoder knows the colours"


def test_a_reward_that_tells_nothing_apart_is_said_to(run, write_recipe):
    recipe = RAG.replace("colour: {use: toy_colour}", "colour: {use: toy_nan}")
    done = run(write_recipe("limits: {skipped: 0.5}\n" + recipe))
    assert "'colour' gave 1 to all 18 samples: it distinguishes nothing" in said_in(done)
    assert "'likeness' gave" not in said_in(done)


def test_a_mean_that_happens_to_be_a_fraction_is_not_shown_as_a_share():
    def shown(*values: float) -> bool:
        arm = Arm()
        for number, value in enumerate(values):
            arm.add(number, number, {"m": value})
        group = Group("", ALL, set(range(len(values))))
        gathered = Gathered({"a": arm}, [group], list("pq"), ["", ""], list("tu"), set())
        return Scale.of(list(of_scores(gathered, ["m"], [], "a", 0))).percent

    assert shown(0.0, 1.0) and not shown(0.25, 0.75)


def test_sets_that_are_too_small_to_measure_are_named(run, write_recipe):
    recipe = RAG.replace("{use: toy_prompts}", "{use: toy_prompts, count: 5}")
    done = run(write_recipe(recipe))
    assert "'toy_distance' needs 2 images or more, and arm 'none' has 1 in group 'True'" in said_in(done)


def test_a_chance_that_is_not_known_is_left_out():
    """Some step of a plugin found references, and says nothing of what else it could have found."""

    arm = Arm()
    for number in range(4):
        sample = Sample(f"s{number}", f"p{number}", "a", "", "red", 0, "", 1, 1, reference_subjects=["red"])
        assert sample.chance == NOT_KNOWN
        arm.add(number, number, relevance(sample))
    gathered = Gathered({"a": arm}, [Group("", ALL, set(range(4)))], list("pqrs"), ["red"] * 4, list("tuvw"), set())
    [row] = of_retrieved(gathered, 0)
    assert (row.arm, row.value, row.control) == ("a", 1.0, "") and math.isnan(row.difference)
