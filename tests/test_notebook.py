"""In a notebook, parts and runs are used without a recipe, with what people have at hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import realism
import torch
from PIL import Image
from realism import Prompt, RealismError, part
from realism.notebook.inputs import images_of, prompts_of
from realism.plugins import manager

RED = Image.new("RGB", (8, 8), (220, 30, 30))
GREEN = Image.new("RGB", (8, 8), (30, 200, 40))


@pytest.fixture(autouse=True)
def toys_installed(toy_plugins, monkeypatch):
    monkeypatch.setattr(manager, "plugins", lambda: toy_plugins)
    for module in ("notebook.handles", "cli.work", "cli.recipes"):
        monkeypatch.setattr(f"realism.{module}.plugins", lambda: toy_plugins)


def test_a_reward_scores_an_image_with_its_text():
    colour = part("toy_colour")
    red, green = Prompt("r", "a red square", "red"), Prompt("g", "a green square", "green")
    assert colour.score(RED, red).values.tolist() == [1.0]
    assert colour.score([RED, GREEN], red).values.tolist() == [1.0, 0.0]
    assert colour.score([RED, GREEN], [red, green]).values.tolist() == [1.0, 1.0]
    assert colour.score([RED, GREEN], "a red square").values.shape == (2,)


def test_values_of_several_are_had_by_name():
    critic = part("toy_critic").score(RED, "a red square")
    assert critic["brightness"].shape == (1,)
    with pytest.raises(RealismError, match="no value 'brightnes'; did you mean 'brightness'"):
        critic["brightnes"]


@pytest.mark.parametrize(
    "given",
    [
        lambda path: RED,
        lambda path: path,
        lambda path: str(path),
        lambda path: np.asarray(RED),
        lambda path: np.asarray(RED) / np.float32(255),
        lambda path: torch.from_numpy(np.array(RED)).permute(2, 0, 1),
        lambda path: torch.from_numpy(np.array(RED)).permute(2, 0, 1).float() / 255,
        lambda path: RED.convert("RGBA"),
    ],
)
def test_an_image_may_be_given_in_any_form(given, tmp_path):
    RED.save(tmp_path / "red.png")
    one = given(tmp_path / "red.png")
    for images in ([one], [one, one], np.stack([one] * 2) if isinstance(one, np.ndarray) else [one]):
        assert {image.tobytes() for image in images_of(images)} == {RED.tobytes()}
    [alone] = images_of(one)
    assert alone.tobytes() == RED.tobytes()


def test_paths_in_a_data_frame_and_hits_of_a_search_are_images(database):
    paths = pd.Series([str(database / "red" / "0.png"), str(database / "green" / "0.png")])
    hits = part("toy_retriever").index(database).search("a red square", k=2)
    assert len(images_of(paths)) == len(images_of(hits)) == 2
    assert part("toy_colour").score(hits, Prompt("r", "a red square", "red")).values.tolist() == [1.0, 1.0]
    assert len(part("toy", size=8).draw(pd.Series(["a red square", "a green square"]))) == 2


def test_several_tensors_are_taken_at_once():
    batch = torch.stack([torch.zeros(3, 4, 6), torch.ones(3, 4, 6)])
    assert [image.getpixel((0, 0)) for image in images_of(batch)] == [(0, 0, 0), (255, 255, 255)]
    assert images_of(batch)[0].size == (6, 4)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (5, "5 is no image; expected an image of Pillow, a path"),
        (np.zeros((3, 8, 8), np.float32), "an array of shape .3, 8, 8. is no image"),
        (np.full((8, 8, 3), 7.0), "goes from 7 to 7, not within 0 to 1"),
        (np.zeros((8, 8, 3), np.int64), "an image of int64 is not taken; expected bytes"),
        ("nowhere.png", "nowhere.png cannot be read: it is not there"),
    ],
)
def test_what_is_no_image_is_said(given, sentence):
    with pytest.raises(RealismError, match=sentence):
        images_of(given)


def test_prompts_and_images_are_as_many():
    with pytest.raises(RealismError, match="2 prompts for 3 images; give one for each, or one for all"):
        prompts_of(["a", "b"], 3)
    with pytest.raises(RealismError, match="5 is no prompt; expected a text"):
        prompts_of([5])


def test_a_generator_draws_a_text_and_several_and_shows_them():
    toy = part("toy", size=16)
    assert toy.draw("a red square").size == (16, 16)
    several = toy.draw(["a red square", "a green square <b>"], seed=3)
    assert len(several) == 2 and "&lt;b&gt;" in several._repr_html_()
    blue = toy.draw("a blue square", references=GREEN)
    assert blue.getpixel((0, 0))[1] > blue.getpixel((0, 0))[2]
    assert toy.max_references == 1 and toy.part.size == 16


def test_a_folder_is_searched_in_two_lines(database):
    found = part("toy_retriever").index(database).search("a green square", k=2)
    assert [hit.record.subject for hit in found] == ["green", "green"]
    assert found._repr_html_().count("<figure") == 2
    source = part("image_folder", path=str(database), share=[0, 0.5])
    assert 0 < len(part("toy_retriever").index(source)) < 24


def test_a_folder_without_an_image_is_named(tmp_path):
    with pytest.raises(RealismError, match="no image"):
        part("toy_retriever").index(tmp_path)


def test_images_like_an_image_are_found(database):
    collection = part("toy_retriever").index(database)
    for query in (GREEN, database / "green" / "1.png"):
        assert {hit.record.subject for hit in collection.search(query)} == {"green"}


def test_images_that_cannot_be_read_are_left_out_and_told(database):
    (database / "red" / "0.png").write_bytes(b"")
    collection = part("toy_retriever").index(database)
    assert len(collection) == 23 and collection.left_out == {"red/0.png": "the file is empty"}


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("toyy", {}, "nothing named 'toyy' can be used; did you mean 'toy'"),
        ("toy", {"sise": 9}, "toy has no option 'sise'; did you mean 'size'"),
        ("toy", {"size": "large"}, "size: 'large' is not allowed: expected a whole number"),
        ("toy_distance", {}, "encoder: .*must be given"),
    ],
)
def test_wrong_options_are_refused_in_the_sentences_of_a_recipe(name, options, sentence):
    with pytest.raises(RealismError, match=sentence):
        part(name, **options)


def test_a_part_takes_a_part_and_shows_its_options():
    distance = part("toy_distance", encoder=part("toy_retriever"))
    assert ">encoder</th>" in distance._repr_html_() and "toy_retriever" in distance._repr_html_()


RECIPE = """\
parts:
  generator: {use: toy, size: 16}
  colour: {use: toy_colour}
prompts: {use: toy_prompts, count: 4}
steps:
  - generate: {name: first arm}
  - score: {rewards: [colour]}
  - report
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "squares.yaml").write_text(RECIPE)
    return "squares.yaml"


def test_a_run_is_run_opened_and_shown(recipe, capsys):
    run = realism.run(recipe, "generator.size=8", seed=1)
    frame = run["scores"].to_pandas()
    assert list(frame["arm"]) == ["first arm"] * 4 and run.seeds == (1,)
    assert {sample.width for sample in run["samples"]} == {8}
    page = run._repr_html_()
    assert page.count("<figure") == 4 and "first arm" in page and "report.html" in page
    assert "<th>reward</th>" in run["scores"]._repr_html_()
    assert "with: prompts, samples, scores" in repr(run) and "report: " in capsys.readouterr().out


def test_a_run_from_python_is_the_run_of_the_command_line(recipe):
    changed = realism.run(recipe, generator={"use": "toy", "size": 8}, seed=1, quiet=True)
    assert changed.folder == realism.run(recipe, "seed=1", "generator.size=8", quiet=True).folder
    assert realism.run(recipe, quiet=True).folder == Path("runs/squares")
    assert realism.run(recipe, out="elsewhere", quiet=True).folder == Path("elsewhere")


def test_a_recipe_that_is_wrong_is_refused_as_on_the_command_line(recipe):
    with pytest.raises(RealismError, match=r"squares.yaml: 1 problem\n.*did you mean 'size'"):
        realism.run(recipe, "generator.sise=8")


def test_a_notebook_shows_the_sentence_of_an_error_alone():
    with pytest.raises(RealismError) as error:
        part("toyy")
    assert error.value._render_traceback_() == [str(error.value)]


def test_importing_realism_is_light():
    code = "import realism, sys; realism.run, realism.part; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not [
        name for name in ("torch", "numpy", "pandas", "PIL", "rich", "realism.notebook") if f"'{name}'" in loaded
    ]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: part("toy").draw("a red square", seed="x"), "seed: 'x' is not allowed: expected a whole number, 0"),
        (lambda: part("toy").draw("a red square", seed=-1), "seed: -1 is not allowed"),
        (lambda: part("toy").draw("a red square", references=[RED, RED]), "'toy' takes 1 reference.* not 2"),
        (lambda: part("toy_likeness").score(RED, "a red square"), "'toy_likeness' compares with references: give"),
        (lambda: part("toy_retriever").encode_images([]), "nothing was given; expected an image"),
        (lambda: part("toy_retriever").encode_texts([]), "nothing was given; expected a text"),
        (lambda: part("toy_retriever").encode_texts(3), "3 is no prompt"),
        (lambda: part("toy_bright").score(Image.new("RGB", (0, 3))), "an image of 0 x 3 pixels has none"),
        (lambda: part("toy_bright").score(np.zeros((0, 4, 3))), "has no pixel"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(call, sentence):
    with pytest.raises(RealismError, match=sentence):
        call()


def test_a_search_says_which_k_and_query_it_takes(database):
    images = part("toy_retriever").index(database)
    with pytest.raises(RealismError, match="k: -1 is not allowed: expected a whole number, 1 or more"):
        images.search("red", k=-1)
    with pytest.raises(RealismError, match="nothing was given"):
        images.search([])


def test_transparent_pixels_are_white_as_in_files():
    (image,) = images_of(Image.new("RGBA", (1, 1), (255, 0, 0, 0)))
    assert image.getpixel((0, 0)) == (255, 255, 255)
