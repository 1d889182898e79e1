"""Rewards that ask a model questions about pictures, on tiny random models of the real classes."""

from __future__ import annotations

import functools
import json
import shutil

import examples
import pytest
import tiny
import torch
from realism import Prompt, RealismError
from realism_rewards.choosing import literally
from realism_rewards.questions import Question, questions_of
from realism_rewards.vqa import Vqa, VqaAbsolute, VqaDsg
from realism_rewards.vqascore import VqaScore
from tiny import judged

KINDS = ("blip", "blip2", "blip2_decoder", "llava", "qwen")
ASKED = (
    "is there a red daisy ?",
    "how many",
    "what color is this rose ?",
    "what is this flower with a bee on the sand and a photo of the blue",
)
SIZES = ((64, 64), (48, 80), (64, 64))
IMAGES = [tiny.picture(i, size) for i, size in enumerate(SIZES)]


def row(question, answer="yes", choices=("yes", "no"), **more):
    return {"question": question, "choices": list(choices), "answer": answer, **more}


def prompt(*rows, text="a rose"):
    return Prompt("p", text, metadata={"questions": list(rows)})


PROMPTS = [prompt(*map(row, ASKED)), prompt(row(ASKED[2])), prompt(*map(row, ASKED[:0:-1]))]


@functools.cache
def part(kind, reward=Vqa, **options):
    if reward is Vqa:
        options.setdefault("embedder", "none")
    return reward(examples.asked(kind), device="cpu", **options)


def said(vqa, images=IMAGES, prompts=PROMPTS):
    return [[answer.choice for answer in those] for those in vqa.answers(judged(images, prompts))]


def plainly(answerer, image, question):
    """What transformers itself makes of one question: its inputs."""
    reader, wording = answerer.reader, answerer.wording
    if getattr(reader, "chat_template", None) is None:
        return reader(images=image, text=wording(*question), return_tensors="pt")
    content = [{"type": "image", "image": image}, {"type": "text", "text": wording(*question)}]
    return reader.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=True, return_dict=True,
        return_tensors="pt",
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_transformers_one_question_at_a_time(kind):
    vqa = part(kind)
    ours, model = said(vqa), vqa.answerer.model
    for image, asked, answers in zip(IMAGES, PROMPTS, ours, strict=True):
        for question, answer in zip(questions_of(asked), answers, strict=True):
            inputs = plainly(vqa.answerer, image, (question.question, question.choices))
            made = model.generate(**inputs, max_new_tokens=24, do_sample=False)[0]
            if kind not in ("blip", "blip2"):  # what writes on repeats what it was asked
                made = made[inputs["input_ids"].shape[1] :]
            assert answer == vqa.answerer.tokenizer.decode(made, skip_special_tokens=True).strip()
    assert len({answer for answers in ours for answer in answers}) > 2, "the test model says the same to everything"


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_depends_on_neither_batch_nor_order(kind):
    assert said(part(kind, batch=2), IMAGES[::-1], PROMPTS[::-1]) == said(part(kind))[::-1]


@pytest.mark.parametrize(
    ("kind", "tower"),
    [("blip", "vision_model"), ("blip2", "vision_model"), ("llava", "model.vision_tower"), ("qwen", "model.visual")],
)
def test_each_picture_is_looked_at_once_for_all_questions_and_rewards(kind, tower):
    vqa, looks = part(kind), []
    images = [tiny.picture(10 + i, size) for i, size in enumerate(SIZES)]
    vqa.answerer.model.get_submodule(tower).register_forward_hook(lambda *_: looks.append(1))
    values = vqa.score(judged(images, PROMPTS)).values
    assert len(looks) == len(set(SIZES)), "pictures of one size are looked at together, once"
    VqaAbsolute(vqa).score(judged([image.copy() for image in images], PROMPTS))
    VqaDsg(vqa).score(judged(images, PROMPTS))
    assert vqa.score(judged(images, PROMPTS)).values.tolist() == values.tolist() and len(looks) == len(set(SIZES))


class Parrot:
    """Answers each question with what stands after its bar, and counts."""

    asked = 0

    def answer(self, images, questions):
        self.asked += sum(map(len, questions))
        return [[q.question.partition("|")[2] for q in those] for those in questions]


def parrot(**options):
    vqa = Vqa("none-such/model", **options)
    vqa.answerer = Parrot()
    return vqa


COLOURS = ("the red rose", "a blue bee", "sand")
TREE = prompt(
    row("is there a rose?|yes", id=1, parents=[]),
    row("is there a bee?|No.", id=2, parents=[]),
    row("is the bee blue?|Yes!", id=3, parents=[2]),
    row("what is it?|a Red rose", "the red rose", COLOURS, id=4, parents=[1]),
)


def test_mean_absolute_and_dsg_values_of_known_answers():
    vqa, none = parrot(), Prompt("q", "a rose")
    pictures = judged(IMAGES, [TREE, prompt(row("is there a rose?|yes")), none])
    for reward, value in ((vqa, 3 / 4), (VqaAbsolute(vqa), 0), (VqaDsg(vqa), 2 / 4)):
        assert reward.score(pictures).values.tolist() == pytest.approx([value, 1, float("nan")], nan_ok=True)
    assert vqa.answerer.asked == 5


def test_the_answers_stand_behind_the_value():
    told, nothing = parrot().score(judged(IMAGES[:2], [TREE, Prompt("q", "a rose")])).details
    assert told["answers"][1] == {"question": "is there a bee?|No.", "expected": "yes", "answer": "no", "right": False}
    assert [answer["right"] for answer in told["answers"]] == [True, False, True, True] and nothing == {}


def test_an_answer_in_other_words_comes_to_the_choice_of_the_greatest_cosine():
    from transformers import AutoModel, AutoTokenizer

    folder = examples.asked("sentence")
    model, words = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)

    def embedded(text):
        with torch.no_grad():
            return model(**words(text, return_tensors="pt")).last_hidden_state[0].mean(0)

    answers = ["rose", "a bee with the daisy on red sand and a photo", "how many", "blue", "red"]
    rows = torch.stack([embedded(choice) for choice in COLOURS])
    wanted = [COLOURS[int(torch.cosine_similarity(embedded(answer), rows).argmax())] for answer in answers]
    asked = prompt(*(row(f"what is it?|{answer}", "sand", COLOURS) for answer in answers))
    vqa = parrot(embedder=folder, device="cpu", batch=3)
    assert said(vqa, IMAGES[:1], [asked]) == [wanted] and len(set(wanted)) > 1
    assert vqa.score(judged(IMAGES[:1], [asked])).values.tolist() == pytest.approx([wanted.count("sand") / 5])


def test_without_an_embedder_an_answer_in_other_words_is_wrong():
    asked = prompt(row("what is it?|blue", "a blue bee", COLOURS))
    [told] = parrot(embedder="none").score(judged(IMAGES[:1], [asked])).details
    assert told["answers"][0]["answer"] == "blue" and not told["answers"][0]["right"]


def test_a_shipped_model_compares_answers_without_the_network():
    vqa, asked = (
        Vqa("garden/vqa", device="cpu"),
        prompt(row("what flower is this?", "no flower", ("no flower", "sand"))),
    )
    [answer] = vqa.answers(judged(IMAGES[:1], [asked]))[0]
    assert answer.choice not in answer.question.choices
    assert vqa.score(judged(IMAGES[:1], [asked])).values.tolist() == [0]


@pytest.mark.parametrize(
    ("answer", "choice"), [("The Red, rose.", "the red rose"), ("blue bee", "a blue bee"), ("roses", None), ("", None)]
)
def test_case_articles_and_punctuation_do_not_matter(answer, choice):
    assert literally(answer, COLOURS) == choice


def test_an_embedder_that_cannot_be_had_is_named():
    with pytest.raises(RealismError, match="'none' to count answers"):
        parrot(embedder=str(examples.folder())).score(judged(IMAGES[:1], [prompt(row("what?|rose", "sand", COLOURS))]))


@pytest.mark.parametrize("kind", ["blip", "blip2", "blip2_decoder", "qwen"])
def test_vqascore_is_the_probability_of_yes_among_all_next_words(kind):
    prompts = [Prompt(str(i), text) for i, text in enumerate(("a red rose", "sand", "the bee on a blue daisy"))]
    reward = part(kind, VqaScore)
    values, model = reward.score(judged(IMAGES, prompts)).values, reward.answerer.model
    yes = reward.answerer.tokenizer.convert_tokens_to_ids("yes" if kind == "blip" else "Yes")
    for image, asked, value in zip(IMAGES, prompts, values.tolist(), strict=True):
        inputs = plainly(
            reward.answerer, image, (f'Does this figure show "{asked.text}"? Please answer yes or no.', ())
        )
        first = {"decoder_input_ids": torch.tensor([[2 if kind == "blip" else 0]])} if kind in ("blip", "blip2") else {}
        with torch.no_grad():
            if kind == "blip":
                seen = model.vision_model(inputs["pixel_values"])[0]
                read = model.text_encoder(inputs["input_ids"], encoder_hidden_states=seen)[0]
                logits = model.text_decoder(first["decoder_input_ids"], encoder_hidden_states=read).logits
            else:
                logits = model(**inputs, **first).logits
        assert value == pytest.approx(float(logits[0, -1].softmax(-1)[yes]), abs=1e-5)


def test_a_model_without_a_word_for_yes_is_refused():
    with pytest.raises(RealismError, match="no single token for 'Yes'"):
        VqaScore(examples.llava(), device="cpu").score(judged(IMAGES[:1], PROMPTS[:1]))


def test_questions_are_read_from_the_metadata_of_a_prompt():
    [question] = questions_of(prompt(row("what color?", "red", ["red", "blue"], element="red", element_type="color")))
    assert question == Question("what color?", ("red", "blue"), "red", "red", "color", 1, ())
    assert [q.parents for q in questions_of(TREE)] == [(), (), (2,), (1,)] and questions_of(Prompt("p", "a rose")) == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("is it red?", "questions of prompt 'p' are 'is it red?'; expected a list of dicts"),
        (["is it red?"], "question 1 of prompt 'p' is 'is it red?'; expected a dict"),
        ([{"question": "is it red?", "choices": ["yes"]}], "question 1 of prompt 'p' has as answer None"),
        ([{**row("red?"), "choices": "yes"}], "question 1 of prompt 'p' has as choices 'yes'; expected a list"),
        ([row("red?", "maybe")], "the answer 'maybe', which is none of its choices"),
        ([row("red?", parents=[7])], "question 1 of prompt 'p' has the parent 7; expected ids"),
        ([row("red?"), row("blue?", id=1)], "two questions of prompt 'p' have the same id"),
        ([row("red?", id="x")], "has the id 'x'"),
    ],
)
def test_malformed_questions_are_named(rows, message):
    with pytest.raises(RealismError) as error:
        parrot().score(judged(IMAGES[:1], [Prompt("p", "a rose", metadata={"questions": rows})]))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "is no model of transformers"),
        (lambda folder: (folder / "model.safetensors").rename(folder / "model.bin"), "only safetensors are read"),
        (lambda folder: _rename(folder, "BlipForConditionalGeneration"), "expected BLIP for questions, BLIP-2, or"),
        (lambda folder: _rename(folder, "BertModel", "bert"), "of type 'bert' without a chat template; expected BLIP"),
    ],
)
def test_a_folder_that_answers_no_questions_is_refused_before_anything_runs(tmp_path, change, message):
    folder = shutil.copytree(examples.asked("blip"), tmp_path / "model")
    change(folder)
    assert message in str(Vqa(str(folder)).options_error())


def _rename(folder, architecture, kind="blip"):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": [architecture], "model_type": kind}))
