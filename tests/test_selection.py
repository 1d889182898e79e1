"""Selection and self-training: what was accepted is told round by round, and benchmarks show before and after."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import realism
import torch
import toys
from hypothesis import given
from hypothesis import strategies as st
from realism.base.errors import RealismError, RecipeError
from realism.base.features import FeatureRows
from realism.base.tables import read
from realism.data.artifacts import Exhibits, Maps, Measures, Samples, ScoreTable, Selection
from realism.data.rows import Exhibit, Measure, Sample, Score
from realism.measuring.evaluation import ArmFeatures, spread_within
from realism.measuring.selection import pass_at_k
from realism.steps.select import Select
from realism.testing import run_step

LOOP = """\
parts:
  generator: {use: toy_learner, grey: 120, noise: 40}
  bright: {use: toy_bright}
  small: {use: toy_prompts, count: 5}
  large: {use: toy_prompts, count: 7}
prompts: {use: toy_prompts, count: 8}
steps:
  - repeat: 2
    steps:
      - generate: {per_prompt: 4}
      - score: {rewards: [bright]}
      - select: {where: bright >= 0.5, best: bright}
      - train: {trainer: toy_trainer, steps: 2}
  - benchmark: {prompts: [small, large], per_prompt: 2}
  - report: {}
"""


@pytest.fixture(scope="module")
def loop(tmp_path_factory, toy_plugins):
    from realism.recipe.recipe import read_recipe
    from realism.runs.progress import View
    from realism.runs.run import Run

    path = tmp_path_factory.mktemp("loop") / "recipe.yaml"
    path.write_text(LOOP)
    run = Run(read_recipe(str(path), [], toy_plugins.registry), path.parent / "run", toy_plugins, View(quiet=True))
    return run, run.execute()


def measures(loop, name, called="benchmark"):
    _, state = loop
    return {(m.arm, m.group): m for m in read(state.path(Measures(called)), Measure) if m.name == name}


def test_each_round_tells_how_many_samples_and_prompts_were_accepted(loop):
    samples = measures(loop, "acceptance rate")
    assert list(samples) == [("samples, round 1", "all"), ("samples, round 2", "all")]
    first, second = samples.values()
    assert 0 < first.value < second.value <= 1 and first.n == 8 and second.control == "samples, round 1"
    prompts = measures(loop, "pass@k")
    assert [group for arm, group in prompts if arm == "samples, round 1"] == ["k = 1", "k = 2", "k = 4"]
    shares = [m.value for (arm, _), m in prompts.items() if arm == "samples, round 1"]
    assert shares == sorted(shares) and shares[0] == pytest.approx(first.value)
    assert measures(loop, "bright before selection")


def test_benchmarks_compare_the_generator_before_and_after_what_it_learnt(loop):
    bright = measures(loop, "bright")
    assert {arm for arm, _ in bright} == {"before", "after"}
    assert [group for arm, group in bright if arm == "before"] == ["all", "small", "large"]
    assert bright["before", "all"].n == 24 and bright["before", "small"].n == 10
    after = bright["after", "all"]
    assert after.control == "before" and after.value > bright["before", "all"].value


def test_a_selection_shows_what_was_accepted_and_which_question_failed(loop):
    run, state = loop
    shown = list(read(state.path(Exhibits("samples, selection 1")), Exhibit))
    assert len(shown) == 8 and all((run.folder / path).is_file() for one in shown for path in one.images)
    captions = [caption for one in shown for caption in one.captions]
    assert any(c.startswith("accepted: bright") for c in captions)
    assert any("is it bright? no, not yes" in c for c in captions if c.startswith("rejected"))
    page = (run.folder / "report.html").read_text()
    assert "is it bright? no, not yes" in page and "pass@k" in page
    short = page[page.index('class="headline"') : page.index('id="measures"')]
    assert "<b>bright</b>" in short and "accepted" not in short, "the headline tells of held-out prompts alone"
    assert "none made" not in page, "pictures of earlier prompts have no column"


def test_what_stands_behind_a_score_is_kept_with_it(loop):
    _, state = loop
    row = next(iter(read(state.path(ScoreTable("before", "bright")), Score)))
    assert row.detail["answers"][0]["question"] == "is it bright?"


def test_nine_of_ten_meets_a_threshold_of_0_9(run, write_recipe, monkeypatch):
    monkeypatch.setattr(
        toys.ToyBright, "score", lambda _, pictures: realism.Scores(torch.full((len(pictures),), 9 / 10))
    )
    text = LOOP[: LOOP.index("  - repeat")] + (
        "  - generate: {}\n  - score: {rewards: [bright]}\n  - select: {where: bright >= 0.9}\n"
    )
    assert len(list(read(run(write_recipe(text)).execute().path(Samples("samples")), Sample))) == 8


def test_scores_of_pictures_that_were_made_anew_no_longer_count(write_recipe, read):
    late = LOOP.replace(
        "      - train: {trainer: toy_trainer, steps: 2}\n",
        "      - generate: {per_prompt: 4, shard: 5}\n      - select: {where: bright >= 0.5}\n",
    )
    with pytest.raises(RecipeError, match="put a step 'score' before this"):
        read(write_recipe(late))


def test_a_step_scores_and_selects_the_arms_it_names(run, write_recipe):
    text = LOOP[: LOOP.index("  - repeat")] + (
        "  - generate: {name: plain}\n  - generate: {name: other}\n  - score: {rewards: [bright], arms: [other]}\n"
        "  - select: {best: bright, arms: [other]}\n"
    )
    state = run(write_recipe(text)).execute()
    assert ScoreTable("plain", "bright") not in state and len(list(read(state.path(Samples("other")), Sample))) == 8


def test_what_is_kept_can_be_an_arm_of_its_own(run, write_recipe):
    text = LOOP[: LOOP.index("  - repeat")] + (
        "  - generate: {per_prompt: 4}\n  - score: {rewards: [bright]}\n"
        "  - select: {best: bright, arms: [samples], name: bright ones}\n"
        "  - select: {where: bright < 0.5, arms: [samples], name: dark ones}\n  - evaluate: {}\n"
    )
    state = run(write_recipe(text)).execute()
    counts = {arm: len(list(read(state.path(Samples(arm)), Sample))) for arm in ("samples", "bright ones")}
    assert counts == {"samples": 32, "bright ones": 8}
    told = {m.arm for m in read(state.path(Measures()), Measure) if m.name == "acceptance rate"}
    assert told == {"bright ones", "dark ones"}


def test_scores_of_an_arm_that_a_selection_replaces_no_longer_count(run, write_recipe):
    text = LOOP[: LOOP.index("  - repeat")] + (
        "  - generate: {}\n  - generate: {name: other}\n  - score: {rewards: [bright]}\n  - evaluate: {}\n"
        "  - select: {best: bright, arms: [samples], name: other}\n"
    )
    state = run(write_recipe(text)).execute()
    ids = {artifact: [row.id for row in read(state.path(artifact), Score)] for artifact in ScoreTable.among(state)}
    assert ids[ScoreTable("other", "bright")] == ids[ScoreTable("samples", "bright")], (
        "its scores are those of what is kept"
    )


def test_a_selection_is_told_of_once(run, write_recipe):
    text = LOOP[: LOOP.index("  - repeat")] + (
        "  - generate: {}\n  - score: {rewards: [bright]}\n  - select: {best: bright}\n  - evaluate: {name: first}\n"
        "  - generate: {name: other}\n  - score: {rewards: [bright]}\n"
        "  - select: {best: bright, arms: [other]}\n  - evaluate: {name: second}\n"
    )
    state = run(write_recipe(text)).execute()
    told = {
        name: {m.arm for m in read(state.path(Measures(name)), Measure) if m.name == "acceptance rate"}
        for name in ("first", "second")
    }
    assert told == {"first": {"samples"}, "second": {"other"}}


def test_a_selection_put_before_another_is_counted_before_it(run, write_recipe):
    text = LOOP[: LOOP.index("  - repeat")] + "  - generate: {name: a}\n  - score: {rewards: [bright]}\n"
    late = "  - select: {arms: [a], name: good, where: bright >= 0.2}\n  - evaluate: {name: second}\n"
    early = "  - select: {arms: [a], name: good, where: bright >= 0.4}\n  - evaluate: {name: first}\n"
    run(write_recipe(text + late))
    state = run(write_recipe(text + early + late)).execute()
    assert Selection.among(state) == [Selection("good", 1), Selection("good", 2)]
    told = {m.arm for m in read(state.path(Measures("second")), Measure) if m.name == "acceptance rate"}
    assert told == {"good, round 2"}


def test_what_was_best_is_said_where_nothing_is_good_enough(run, write_recipe):
    text = LOOP[: LOOP.index("  - repeat")].replace("bright: {use: toy_bright}", "critic: {use: toy_critic}") + (
        "  - generate: {}\n  - score: {rewards: [critic]}\n  - select: {where: critic.brightness < 0.01}\n"
    )
    with pytest.raises(RealismError) as error:
        run(write_recipe(text))
    said = float(str(error.value).split("the best have ")[1].split("critic.brightness ")[1].split(":")[0])
    state = run(write_recipe(text[: text.index("  - select")]), out="scored").execute()
    least = min(s.value for s in read(state.path(ScoreTable("samples", "critic.brightness")), Score))
    assert said == pytest.approx(least, abs=1e-3), "less is better, so the darkest is the best"


def test_what_a_selection_keeps_has_its_heatmaps(run, write_recipe, tmp_path):
    text = LOOP[: LOOP.index("  - repeat")].replace("bright: {use: toy_bright}", "critic: {use: toy_critic}") + (
        "  - generate: {per_prompt: 2}\n  - score: {rewards: [critic]}\n"
    )
    scored = run(write_recipe(text)).execute()
    available = {artifact: scored.path(artifact) for artifact in scored if not isinstance(artifact, Maps)}
    select, maps = Select(best="critic.brightness"), Maps("samples", "critic")
    made = run_step(select, tmp_path / "run", available | {maps: scored.path(maps)})
    assert {row.id for row in made.read(maps)} == {row.id for row in made.read(Samples("samples"))}
    (tmp_path / "bare").mkdir()
    assert not list(run_step(select, tmp_path / "bare", available | {maps: []}).read(maps))


def test_diversity_is_the_mean_distance_of_the_pictures_of_one_prompt():
    random = np.random.default_rng(0)
    features, prompts = random.normal(size=(9, 5)), ["a", "b", "a", "c", "b", "a", "b", "b", "a"]
    spread = spread_within(ArmFeatures(FeatureRows.of(features), prompts))
    for prompt, value in zip(spread.prompts, spread.values, strict=True):
        rows = [f / np.linalg.norm(f) for f, p in zip(features, prompts, strict=True) if p == prompt]
        apart = [1 - a @ b for a, b in itertools.combinations(rows, 2)]
        assert value == pytest.approx(np.mean(apart), abs=1e-9)
    assert list(spread.prompts) == ["a", "b"], "one picture alone has no pair"


def test_diversity_is_measured_beside_the_control(run, write_recipe):
    text = """\
parts: {generator: {use: toy}, encoder: {use: toy_retriever}}
prompts: {use: toy_prompts}
steps:
  - generate: {per_prompt: 3}
  - generate: {name: other, per_prompt: 3}
  - evaluate: {diversity: encoder}
"""
    state = run(write_recipe(text)).execute()
    rows = {m.arm: m for m in read(state.path(Measures()), Measure)}
    assert rows["samples"].value > 0 and rows["other"].difference == 0 and rows["other"].n == 12


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("score: {rewards: [bright], arms: [sample]}", "no arm 'sample'; arms here: samples; did you mean 'samples'"),
        ("benchmark: {prompts: [small, small]}", "two benchmarks are called 'small'"),
        ("benchmark: {prompts: [small], control: before}", "benchmark has no option 'control'"),
        ("select: {best: bright, name: new}", "name it, alone, in 'arms'"),
        ("prompts: {source: 3}", "expected the name of a source of prompts"),
    ],
)
def test_what_does_not_go_together_is_said(write_recipe, read, change, said):
    text = LOOP[: LOOP.index("  - benchmark")] + f"  - {change}\n"
    with pytest.raises(RecipeError, match=said):
        read(write_recipe(text))


def test_benchmarks_need_a_generator_and_a_judge_before_them(write_recipe, read):
    start = LOOP[: LOOP.index("  - repeat")]
    with pytest.raises(RecipeError, match="put a step 'generate' before this"):
        read(write_recipe(start + "  - benchmark: {prompts: [small]}\n"))
    with pytest.raises(RecipeError, match="nothing judges benchmarks' pictures"):
        read(write_recipe(start + "  - generate: {}\n  - benchmark: {prompts: [small]}\n"))


@given(st.integers(1, 7), st.data())
def test_the_chance_of_an_accepted_sample_counts_all_draws(n, data):
    accepted, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    draws = list(itertools.combinations([True] * accepted + [False] * (n - accepted), k))
    assert pass_at_k(n, accepted, k) == pytest.approx(sum(map(any, draws)) / len(draws), abs=1e-12)
