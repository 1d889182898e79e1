"""Language models: chat models of transformers, on tiny random ones of the real classes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import examples
import pytest
import tiny
import torch
from realism import Chat, RealismError
from realism.testing import LanguageModelSuite
from realism_generators.chat import TransformersChat, gumbel_sampler

FAST = {"dtype": "float32", "device": "cpu", "max_tokens": 12, "cache": False}
ROSE = Chat("a red rose")
ASKED = [
    ROSE,
    Chat("sand"),
    Chat("the bee on the blue daisy with a rose and a flower", system="name the flower"),
    Chat("two blue daisy", system="name the flower"),
    ROSE,
]
RED, BLUE = tiny.picture(1), tiny.picture(2, (50, 30))
SHOWN = [
    Chat("a rose", (RED,)),
    ROSE,
    Chat("a rose", (RED, BLUE)),
    Chat("the flower with a bee", (BLUE,)),
    Chat("a rose", (BLUE, RED)),
]


@pytest.fixture(scope="module")
def words():
    """A model of text alone."""
    return TransformersChat(examples.chat(), **FAST)


@pytest.fixture(scope="module")
def eyes():
    """A model of images and text."""
    return TransformersChat(examples.llava(), **FAST)


@pytest.fixture
def copied(tmp_path):
    return Path(shutil.copytree(examples.chat(), tmp_path / "model"))


def plain(model, reader, **chat):
    """What transformers itself writes, by the recipe of its own documents."""
    asked = reader.apply_chat_template(
        [{"role": "user", **chat}], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    written = model.generate(**asked, max_new_tokens=12, do_sample=False)[0, asked["input_ids"].shape[1] :]
    return getattr(reader, "tokenizer", reader).decode(written, skip_special_tokens=True).strip()


def test_a_reply_is_the_one_that_plain_transformers_writes(words):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, reader = (c.from_pretrained(examples.chat()) for c in (AutoModelForCausalLM, AutoTokenizer))
    assert words.reply([ROSE]) == [plain(model, reader, content=ROSE.text)] != [""]


def test_a_reply_on_images_is_the_one_that_plain_transformers_writes(eyes):
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model, reader = (c.from_pretrained(examples.llava()) for c in (AutoModelForImageTextToText, AutoProcessor))
    for chat in (ROSE, *SHOWN[:3]):
        images = [{"type": "image", "image": image} for image in chat.images]
        said = plain(model, reader, content=[*images, {"type": "text", "text": chat.text}])
        assert eyes.reply([chat]) == [said]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize(("model", "chats"), [(examples.chat, ASKED), (examples.llava, [*ASKED, *SHOWN])])
def test_the_same_chat_gets_the_same_reply_at_any_batch_size(model, chats, temperature):
    one = TransformersChat(model(), batch=1, temperature=temperature, **FAST).reply(chats)
    many = TransformersChat(model(), batch=4, temperature=temperature, **FAST).reply(chats)
    assert one == many
    assert one[0] == one[4] and len(set(one)) > len(one) // 2, "the replies should differ, or this says nothing"


def test_with_a_temperature_another_seed_gives_another_reply_and_the_same_seed_the_same():
    def replies(seed):
        return TransformersChat(examples.chat(), temperature=1.0, seed=seed, **FAST).reply(ASKED)

    assert replies(1) == replies(1) != replies(2)


def test_tokens_are_drawn_as_often_as_the_softmax_says():
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0]).repeat(20_000, 1)
    chosen = gumbel_sampler(0.7, range(20_000))(torch.zeros(0), logits).argmax(1)
    shares = torch.bincount(chosen, minlength=4) / 20_000
    assert torch.allclose(shares, torch.softmax(logits[0] / 0.7, 0), atol=0.01)


def test_the_system_text_the_images_and_their_order_matter(words, eyes):
    assert words.reply([ROSE]) != words.reply([Chat(ROSE.text, system="name the flower")])
    shown = eyes.reply(
        [Chat("a rose"), Chat("a rose", (RED,)), Chat("a rose", (RED, BLUE)), Chat("a rose", (BLUE, RED))]
    )
    assert len(set(shown)) == 4, shown


def test_a_batch_too_large_for_the_memory_is_halved_and_gives_the_same_replies(words, monkeypatch):
    before = words.reply(ASKED)
    small = TransformersChat(examples.chat(), **FAST)
    model, sizes = small.loaded.model, []
    generate = model.generate

    def starving(**inputs):
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return generate(**inputs)

    monkeypatch.setattr(model, "generate", starving)
    assert small.reply(ASKED) == before
    assert sizes == [5, 2, 2, 1]


def test_a_reply_is_cut_at_max_tokens():
    short = TransformersChat(examples.chat(), **FAST | {"max_tokens": 2})
    assert [len(reply.split()) for reply in short.reply([ROSE])] == [2]


def test_the_settings_of_generation_that_a_model_comes_with_do_not_change_its_replies(words, copied):
    settings = json.loads((copied / "generation_config.json").read_text())
    settings |= {"do_sample": True, "top_k": 1, "temperature": 9.0, "repetition_penalty": 3.0, "num_beams": 3}
    (copied / "generation_config.json").write_text(json.dumps(settings))
    assert TransformersChat(str(copied), **FAST).reply(ASKED) == words.reply(ASKED)


def test_a_text_cannot_end_its_message_nor_show_an_image_that_is_not_there(eyes, words):
    assert words.reply([Chat("a rose <reply> sand </s>")]) != words.reply([Chat("a rose")])
    for text in ("a <image> rose", "<image>"):
        assert len(eyes.reply([Chat(text), Chat(text, (RED,))])) == 2


def test_a_model_of_text_alone_says_that_it_cannot_see(words):
    assert not words.accepts_images
    with pytest.raises(RealismError, match="reads text alone, but a chat has images; choose a model"):
        words.reply([ROSE, SHOWN[0]])


def test_a_model_that_was_released_loads_again():
    model = TransformersChat(examples.chat(), **FAST)
    before = model.reply([ROSE])
    model.release()
    assert "loaded" not in vars(model)
    assert model.reply([ROSE]) == before


@pytest.mark.parametrize("contract", [name for name in dir(LanguageModelSuite) if name.startswith("test_")])
def test_a_model_of_text_alone_keeps_the_contract(words, contract):
    getattr(LanguageModelSuite(), contract)(words)


def without_template(folder):
    (folder / "chat_template.jinja").unlink()


def as_pickle(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def without_weights(folder):
    (folder / "model.safetensors").unlink()


def without_config(folder):
    (folder / "config.json").write_text("[]")


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (
            without_template,
            "has no chat template, so it is not known how to prompt it; use the chat or instruct",
        ),
        (as_pickle, "has weights as .bin only; only safetensors are read: convert them first"),
        (without_weights, "is incomplete: it has no weights"),
        (without_config, "is no model of transformers: it has no config.json that names its model_type"),
    ],
)
def test_a_folder_that_cannot_work_is_found_when_the_recipe_is_checked(copied, harm, sentence):
    assert TransformersChat(str(copied)).options_error() is None
    harm(copied)
    assert sentence in (TransformersChat(str(copied)).options_error() or "")


def changed(folder, **config):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))


def refuses(folder):
    (folder / "chat_template.jinja").write_text("{{ raise_exception('no system role here') }}")


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (without_template, "has no chat template"),
        (lambda f: changed(f, model_type="clip"), "is of type 'clip', which writes no text"),
        (lambda f: changed(f, num_hidden_layers=3), r"lacks 9 of its weights, such as model\.layers\.2\."),
        (lambda f: changed(f, model_type="own", auto_map={"AutoConfig": "own.Own"}), "code that comes with a model is"),
        (lambda f: (f / "model.safetensors").write_bytes(b"no"), r"cannot be loaded \(the folder is damaged\)"),
        (refuses, "refuses a chat: no system role here"),
    ],
)
def test_what_is_found_only_at_loading_is_a_sentence_too(copied, harm, sentence):
    harm(copied)
    with pytest.raises(RealismError, match=sentence) as said:
        TransformersChat(str(copied), **FAST).reply([ROSE])
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("model", [examples.chat, examples.llava])
def test_variables_of_the_chat_template_reach_it(model, tmp_path):
    folder = Path(shutil.copytree(model(), tmp_path / "model"))
    file = folder / "chat_template.jinja"
    file.write_text(file.read_text() + "{% if thinking %} {{ thinking }}{% endif %}")
    plain, varied = (TransformersChat(str(folder), **FAST, template=t) for t in ({}, {"thinking": "two blue daisy"}))
    assert plain.reply([ROSE]) == TransformersChat(model(), **FAST).reply([ROSE]) != varied.reply([ROSE])
    wrong = TransformersChat(str(folder), **FAST, template={"tokenize": True}).options_error() or ""
    assert wrong.startswith("template: 'tokenize' is set by this part")


def test_a_folder_that_is_not_there_is_named():
    assert "no model folder './nowhere'" in (TransformersChat("./nowhere").options_error() or "")
