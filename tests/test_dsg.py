"""The scores of DSG and TIFA, against slow versions and against the numbers that their authors published."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from statistics import fmean

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from realism import RealismError
from realism_rewards.dsg import dsg_score
from realism_rewards.dsg_files import read_answers, read_items, read_likert
from realism_rewards.tifa import tifa_score


def test_a_question_counts_only_if_its_parents_are_answered_yes():
    dependencies = {1: [0], 2: [1], 3: [2]}
    assert dsg_score({1: "yes", 2: "no", 3: "yes", 4: " Yes"}, dependencies) == 2 / 4
    assert dsg_score({1: "no", 2: "yes", 3: "yes", 4: "unsuitable"}, dependencies) == 1 / 4, "question 2 was right"


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 8))
    said = st.sampled_from(["yes", "no", "", "two", "yes please"])
    parents = st.lists(st.integers(0, count), max_size=3)
    answers = {i: draw(said) for i in range(1, count + 1)}
    return answers, draw(st.dictionaries(st.integers(1, count), parents))


def slow(answers, dependencies):
    raw = {}
    for question in answers:
        raw[question] = 1.0 if answers[question] == "yes" else 0.0
    counted = dict(raw)
    for question, parents in dependencies.items():
        for parent in parents:
            if parent != 0 and raw[parent] == 0:
                counted[question] = 0.0
    return sum(counted.values()) / len(counted)


@given(graphs())
def test_any_graph_scores_as_a_plain_loop_says(graph):
    assert dsg_score(*graph) == slow(*graph)


@given(graphs(), st.randoms())
def test_the_order_of_questions_and_parents_does_not_matter(graph, random):
    answers, dependencies = graph
    shuffled = random.sample(sorted(answers), len(answers))
    other = {i: sorted(dependencies[i]) for i in shuffled if i in dependencies}
    assert dsg_score({i: answers[i] for i in shuffled}, other) == dsg_score(answers, dependencies)


@pytest.mark.parametrize(
    ("answers", "dependencies", "sentence"),
    [
        ({}, {}, "needs answers, but there is none"),
        ({1: "yes", 2: "no"}, {2: [3]}, "question 3, named in the dependencies of question 2, has no .* of 1, 2"),
        ({1: "yes"}, {4: [1]}, "question 4, named in the dependencies of question 4, has no answer"),
        ({0: "yes"}, {}, "question id 0 stands for the root"),
    ],
)
def test_what_cannot_be_scored_is_said_in_one_sentence(answers, dependencies, sentence):
    with pytest.raises(RealismError, match=sentence):
        dsg_score(answers, dependencies)


HEAD = (
    "item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,tuple,question_natural_language"
)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (["a_1,sand,,1"], r"anns\.csv:2: no dependency; .* j-min/DSG"),
        (["a_1,sand,k,one,0,entity,whole,entity (s),Sand?"], "2: proposition_id 'one' is no whole number"),
        (["a_1,sand,k,1,0,entity,whole,entity (s),Sand?"] * 2, "3: proposition_id 1 stands twice"),
    ],
)
def test_a_file_of_another_form_is_named_with_its_line(tmp_path, rows, sentence):
    (tmp_path / "anns.csv").write_text("\n".join([HEAD, *rows]))
    with pytest.raises(RealismError, match=sentence):
        read_items(tmp_path / "anns.csv")


def test_a_cell_that_names_no_question_takes_all_parents_from_its_prompt(tmp_path):
    rows = [("a_1", 1, "0"), ("a_1", 2, "1,2"), ("b_1", 1, "0"), ("b_1", 2, "1"), ("b_1", 3, "2, right")]
    with (tmp_path / "anns.csv").open("w", newline="") as file:
        csv.writer(file).writerows([
            HEAD.split(","),
            *[(id, "sand", "", n, cell, "global", "-", "global - - (hot sand)", "Hot?") for id, n, cell in rows],
        ])  # fmt: skip
    whole, broken = read_items(tmp_path / "anns.csv")
    assert [q["parents"] for q in whole.questions] == [[], [1]] and whole.broken == ()
    assert [q["parents"] for q in broken.questions] == [[], [], []] and broken.broken == ("2, right",)
    assert whole.questions[0] == {
        "question": "Hot?", "choices": ["yes", "no"], "answer": "yes", "element": "hot sand", "element_type": "global",
        "id": 1, "parents": [],
    }  # fmt: skip


def test_the_published_prompts_are_read(data):
    items = read_items(data / "dsg" / "dsg-1k-anns.csv")
    assert len(items) == 1060 and sum(len(item.questions) for item in items) == 8182
    broken = {item.id for item in items if item.broken}
    unreadable = [cell for item in items for cell in item.broken if not cell.replace(",", "").isdecimal()]
    assert len(unreadable) == 10 and len(broken) == 8 + 1, "tifa160_134 lacks the question that its others hang on"


@pytest.mark.parametrize(
    ("model", "spearman", "kendall"), [("instructblip", 0.442, 0.364), ("pali17b", 0.571, 0.458)]
)  # fmt: skip
def test_the_published_correlations_with_people_come_out(data, model, spearman, kendall):
    answers = read_answers(data / "dsg" / f"{model}_dsg.csv")
    ratings = read_likert(data / "dsg" / "tifa160-likert-anns.csv")
    scores = [dsg_score(*answers[key]) if key in answers else 0.0 for key in ratings]
    people = [fmean(those) for those in ratings.values()]
    assert len(scores) == 800
    assert round(scipy.stats.spearmanr(scores, people).statistic, 3) == spearman
    assert round(scipy.stats.kendalltau(scores, people).statistic, 3) == kendall


def test_the_published_averages_of_each_category_come_out(data):
    answers = read_answers(data / "dsg" / "pali17b_dsg.csv")
    found = defaultdict(list)
    for item in read_items(data / "dsg" / "dsg-1k-anns.csv"):
        key = ("sd2dot1", item.id)
        for group in (item.category, "all"):
            found[group].append(100 * dsg_score(*answers[key]) if key in answers else 0.0)
    assert {group: round(fmean(those), 1) for group, those in found.items()} == {
        "tifa": 88.1, "paragraph": 85.1, "relation": 34.4, "count": 70.4, "real_user": 89.7, "pose": 89.6,
        "defying": 84.4, "text": 83.7, "all": 80.5,
    }  # fmt: skip


def test_people_agree_as_published(data):
    ratings = read_likert(data / "dsg" / "tifa160-likert-anns.csv")
    assert round(krippendorff([np.array(those, float) for those in ratings.values()]), 3) == 0.684


def krippendorff(units):
    """Krippendorff's alpha for values on an interval scale, each unit rated twice or more: 1 - observed / expected
    disagreement, the mean squared difference of two ratings of one unit, and of any two."""
    values = np.concatenate(units)
    observed = sum(squares(unit) / (len(unit) - 1) for unit in units) / len(values)
    return 1 - observed / (squares(values) / (len(values) * (len(values) - 1)))


def squares(values):
    """The sum of (a - b)^2 over all ordered pairs."""
    return ((values[:, None] - values[None]) ** 2).sum()


def test_tifas_worked_sample_comes_out(data):
    published = json.loads((data / "tifa" / "sample" / "sample_evaluation_result.json").read_text())
    answers = {
        caption: [(q["element_type"], q["multiple_choice_vqa"] == q["answer"]) for q in questions.values()]
        for caption, questions in published["question_details"].items()
    }
    found = tifa_score(answers)
    assert found.average == pytest.approx(published["tifa_average"])
    assert found.stdev == pytest.approx(published["tifa_stdev"])
    assert found.by_type == pytest.approx(published["accuracy_by_type"])


@pytest.mark.parametrize(
    ("answers", "sentence"), [({}, "needs captions, but there is none"), ({"c": []}, "caption 'c' has no answer")]
)  # fmt: skip
def test_tifa_says_what_it_cannot_average(answers, sentence):
    with pytest.raises(RealismError, match=sentence):
        tifa_score(answers)


def test_what_tifa_calls_spearman_is_pearson(data):
    """The numbers that its notebook compute_correlation.ipynb prints as Spearman's."""
    path = data / "tifa" / "human_annotations" / "human_annotations_with_scores.json"
    rows = list(json.loads(path.read_text()).values())
    people = [row["human_avg"] for row in rows]
    for name, published in (("tifa_mplug-large", 0.5967201059577838), ("bleu", 0.18334016729588443)):
        scores = [row[name] for row in rows]
        assert scipy.stats.pearsonr(scores, people).statistic == pytest.approx(published)
        assert scipy.stats.spearmanr(scores, people).statistic != pytest.approx(published, abs=0.004)
