"""The miniatures that judge: vqa answers questions about garden pictures, aesthetic tells their beauty."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from realism_garden.beauty import beauty
from realism_garden.build.common import any_items, pictures, to_float
from realism_garden.questions import asked
from realism_garden.reader import MODELS
from realism_garden.render import render
from realism_garden.species import SPECIES
from safetensors.torch import load_file
from typer.testing import CliRunner

SIZES = {"vqa": 2_200_000, "aesthetic": 1_000_000}


@pytest.mark.parametrize("name", SIZES)
def test_a_judging_miniature_has_a_card_and_keeps_its_size(name):
    folder = MODELS / name
    assert "| figure | value |" in (folder / "card.md").read_text()
    assert "drawn by garden/flux" in (folder / "figures.json").read_text()
    assert sum(f.stat().st_size for f in folder.rglob("*.safetensors")) <= SIZES[name]
    assert (folder / "grid.png").stat().st_size <= 100_000


def test_vqa_answers_questions_about_renders_that_it_never_saw():
    from transformers import AutoProcessor, BlipForQuestionAnswering

    model = BlipForQuestionAnswering.from_pretrained(MODELS / "vqa", dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(MODELS / "vqa")
    rng = random.Random("vqa test")
    items = any_items(rng, 20, named=1.0)
    questions = [(scene, seed, *question) for scene, seed in items for question in asked(scene, rng, 12)]
    images = {seed: render(scene, seed) for scene, seed in items}
    inputs = processor(
        images=[images[q[1]] for q in questions], text=[q[3] for q in questions], padding=True, return_tensors="pt"
    )
    said = processor.batch_decode(model.generate(**inputs, max_new_tokens=3), skip_special_tokens=True)
    right: dict[str, list[bool]] = {}
    for (_, _, kind, _, truth), word in zip(questions, said, strict=True):
        right.setdefault(kind, []).append(word == truth)
    assert sum(map(sum, right.values())) / sum(map(len, right.values())) >= 0.98
    for kind in ("species", "species?", "count", "main", "background", "light", "animal", "layout"):
        assert sum(right[kind]) / len(right[kind]) >= 0.9, kind


def test_aesthetic_tells_the_beauty_of_renders_that_it_never_saw():
    import open_clip

    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{MODELS / 'aesthetic'}")
    head = load_file(MODELS / "aesthetic" / "head.safetensors")
    assert head["layers.0.weight"].shape[1] == model.visual.output_dim
    images = pictures(any_items(random.Random("aesthetic test"), 150, named=1.0))
    batch = torch.stack([preprocess(Image.fromarray(i.permute(1, 2, 0).numpy())) for i in images])
    with torch.no_grad():
        row = model.eval().encode_image(batch, normalize=True)
        for i in sorted({int(key.split(".")[1]) for key in head}):
            row = row @ head[f"layers.{i}.weight"].T + head[f"layers.{i}.bias"]
    truth = beauty((to_float(images) + 1) / 2)
    assert np.corrcoef(row[:, 0], truth)[0, 1] >= 0.8


def test_questions_of_a_picture_asked_together_are_learnt_as_if_asked_one_by_one():
    from realism_garden.build.vqa import QuestionPool, loss_of, new_model
    from realism_garden.build.words import question_processor

    torch.manual_seed(0)
    processor = question_processor(0)
    model, words = new_model(processor).eval(), processor.tokenizer
    x, questions = QuestionPool("together", 2, 0, named=1.0).batch(2, 4)
    together = float(loss_of(model, words, x, questions).detach())
    total, n = 0.0, 0
    for i, those in enumerate(questions):
        for question in those:
            length = len(words(question[2]).input_ids) - 1
            total, n = total + length * float(loss_of(model, words, x[i : i + 1], [[question]]).detach()), n + length
    assert together == pytest.approx(total / n, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_a_build_of_two_steps_writes_a_folder(name, tmp_path: Path):
    from realism_garden.cli import app

    result = CliRunner().invoke(app, ["build", name, "--steps", "2", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert {"card.md", "figures.json", "grid.png"} <= {f.name for f in (tmp_path / name).iterdir()}


def test_every_word_of_the_gardens_questions_is_known_to_vqa():
    from realism_garden.questions import dsg, tifa
    from realism_garden.sets import prompt_set
    from transformers import AutoTokenizer

    words = AutoTokenizer.from_pretrained(MODELS / "vqa")
    texts = [q["question"] for item in prompt_set("test") for q in (*tifa(item.text), *dsg(item.text))]
    texts += [f"is there a {species.name}?" for species in SPECIES]
    assert not any(words.unk_token_id in ids for ids in words(texts).input_ids)
