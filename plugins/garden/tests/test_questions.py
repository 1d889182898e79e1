"""Questions about garden prompts, and the rewards that the exact reader gives for what the text states."""

from __future__ import annotations

import math
import random

import pytest
import torch
from PIL import Image
from realism.data.types import Picture, Prompt
from realism_garden.beauty import beauty
from realism_garden.captions import plain_caption
from realism_garden.parts import GardenPrompts
from realism_garden.questions import asked, dsg, facts_of, stated, tifa
from realism_garden.reader import Reader
from realism_garden.rewards import GardenAll, GardenBeauty, GardenFacts, GardenSpecies
from realism_garden.sets import SPLITS, prompt_set
from realism_garden.species import KNOWN

ITEMS = [item for split in SPLITS for item in prompt_set(split, 60)]


def judged(images, prompts):
    return [Picture(image, prompt) for image, prompt in zip(images, prompts, strict=True)]


def test_what_a_text_states_is_true_of_its_scene_and_names_the_species():
    for item in ITEMS:
        facts, truth = stated(item.text), facts_of(item.scene)
        assert facts["species"] == item.subject
        assert {k: truth[k] for k in facts} == facts


def test_nothing_is_asked_that_the_text_does_not_state():
    assert stated("a bellamy in the snow") == {"species": "bellamy", "count": 1, "background": "snow"}
    text = "at dusk, a pair of white bellamy flowers and a bee on the left"
    assert stated(text) == {
        "species": "bellamy", "count": 2, "main": "white", "light": "dusk", "companion": "bee", "side": "left",
    }  # fmt: skip
    assert stated(plain_caption("orlaya")) == {"species": "orlaya"} and stated("a cat on a mat") == {}
    assert len(tifa(plain_caption("orlaya"))) == 2 and tifa("a cat on a mat") == dsg("a cat on a mat") == []


def test_tifa_questions_have_their_answer_among_the_choices_and_stay_the_same():
    types = set()
    for item in ITEMS:
        questions = tifa(item.text)
        assert questions == tifa(item.text) and len({q["question"] for q in questions}) == len(questions)
        for q in questions:
            assert q["answer"] in q["choices"] and len(set(q["choices"])) == len(q["choices"]) >= 2
            assert "{" not in q["question"] and q["question"].endswith("?")
            types.add(q["element_type"])
    assert types == {"object", "counting", "color", "spatial", "location", "attribute", "animal"}


def test_dsg_questions_depend_on_the_flower_or_on_the_companion():
    by_question = {q["question"]: q for q in dsg("two bellamy in the desert with a bee on the right")}
    assert [(q["id"], q["parents"]) for q in by_question.values()] == [(1, []), (2, [1]), (3, []), (4, []), (5, [4])]
    assert list(by_question) == [
        "is there a bellamy?", "are there two flowers?", "is the flower in the desert?", "is there a bee?",
        "is the bee on the right?",
    ]  # fmt: skip
    assert all(q["answer"] == "yes" for q in by_question.values())


def test_questions_about_a_scene_are_answered_yes_about_as_often_as_no():
    rng = random.Random(0)
    answers = [a for item in ITEMS for kind, _, a in asked(item.scene, rng, 12) if kind.endswith("?")]
    assert set(answers) == {"yes", "no"} and 0.35 < answers.count("yes") / len(answers) < 0.5


@pytest.mark.parametrize("form", ["none", "tifa", "dsg"])
def test_prompts_carry_their_questions_where_asked_for(form):
    prompts = list(GardenPrompts(per_case=2, questions=form).prompts())
    assert len(prompts) == 6
    for prompt in prompts:
        assert bool(prompt.metadata.get("questions")) == (form != "none")
        assert all(("parents" in q) == (form == "dsg") for q in prompt.metadata.get("questions", []))


def test_a_true_picture_shows_every_stated_fact_and_one_of_another_prompt_does_not():
    items = prompt_set("test", 8, ("known",))
    prompts = [Prompt(i.id, i.text, i.subject) for i in items]
    right, wrong = [i.picture() for i in items], [i.picture() for i in items[1:] + items[:1]]
    for reward in (GardenFacts(), GardenAll()):
        assert reward.score(judged(right, prompts)).values.tolist() == [1.0] * 8
    facts = GardenFacts()
    said = facts.score(judged(wrong, prompts))
    shares = said.values
    assert (shares < 1).all() and shares.max() > 0 and GardenAll().score(judged(wrong, prompts)).values.sum() == 0
    for share, detail in zip(shares.tolist(), said.details, strict=True):
        assert share == pytest.approx(sum(a["right"] for a in detail["answers"]) / len(detail["answers"]))
    assert facts.score(judged(right[:1], [Prompt("x", "a cat on a mat")])).values.isnan().all()


def test_rewards_of_the_same_pictures_read_each_once(monkeypatch):
    read, seen = Reader.read, []
    monkeypatch.setattr(Reader, "read", lambda self, images: seen.extend(images) or read(self, images))
    items = prompt_set("test", 9, ("known",))[5:]
    prompts = [Prompt(i.id, i.text, i.subject) for i in items]
    images = [item.picture().point(lambda value: value ^ 1) for item in items]  # as no other test has them
    for reward in (GardenSpecies(), GardenFacts(), GardenAll()):
        reward.score(judged([image.copy() for image in images], prompts))
    assert len(seen) == len(images)


def picture(flower: float, ground: tuple = (0.1, 0.3, 0.8), colour: tuple = (0.95, 0.8, 0.1)) -> torch.Tensor:
    """A disc at ``flower`` of the width before one colour: [3, 64, 64]."""
    y, x = torch.meshgrid(torch.arange(64) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    inside = ((x - 64 * flower) ** 2 + (y - 32) ** 2) < 14**2
    return torch.where(inside, torch.tensor(colour).view(3, 1, 1), torch.tensor(ground).view(3, 1, 1))


def test_beauty_likes_thirds_colour_and_contrast_and_nothing_else():
    third, centre, dull = picture(1 / 3), picture(0.5), picture(1 / 3, (0.5, 0.5, 0.5), (0.55, 0.5, 0.5))
    grey = torch.full((3, 64, 64), 0.5)
    noise = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    values = beauty(torch.stack([third, centre, dull, grey, noise]))
    assert values[0] == pytest.approx(1, abs=0.02)
    # A subject in the middle is a sixth of the width, 1 / 0.6 widths of the bell, away from the lines of thirds.
    assert values[0] - values[1] == pytest.approx((1 - math.exp(-((1 / 0.6) ** 2) / 2)) / 3, abs=0.02)
    assert values[0] > values[1] > values[2] > values[3] and values[3] < 0.01 and values[4] < values[1]
    noisy = (third + 0.1 * torch.randn(3, 64, 64, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    assert beauty(noisy[None])[0] <= values[0] + 0.01


def test_the_reward_of_beauty_is_the_criterion_of_the_picture():
    image = prompt_set("test", 1, ("known",))[0].picture()
    pixels = torch.tensor(list(image.getdata()), dtype=torch.float32).view(1, 64, 64, 3).permute(0, 3, 1, 2) / 255
    reward, prompts = GardenBeauty(), [Prompt("p", KNOWN[0].name)]
    assert reward.score(judged([image], prompts)).values.tolist() == pytest.approx(beauty(pixels).tolist(), abs=1e-5)
    assert reward.score_pixels(pixels, prompts).tolist() == pytest.approx(beauty(pixels).tolist(), abs=1e-5)
    assert reward.score(judged([Image.new("RGB", (80, 50))], prompts)).values.shape == (1,)
