"""Miniatures trained on a user's photographs: `realism garden photos FOLDER OUT`."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from PIL import Image
from realism.base.errors import RealismError
from realism.sources.image_folder import ImageFolder
from realism_garden.build.photos import SPLIT, build_photos
from realism_garden.build.photos_data import read_photos, say, views

SPECIES = {"daisy": (240, 240, 230), "lily-valley": (120, 200, 110), "rose": (200, 30, 60)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Eight training and two test photographs of three species, each of one colour and a little different."""
    root = tmp_path_factory.mktemp("photos")
    for part, n in (("train", 8), ("test", 2)):
        for name, colour in SPECIES.items():
            (root / part / name).mkdir(parents=True)
            for i in range(n):
                shade = tuple(max(0, c - 5 * i) for c in colour)
                Image.new("RGB", (90 + i, 70), shade).save(root / part / name / f"{i}.jpg")
    return root


@pytest.fixture(scope="module")
def built(folder, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("models")
    build_photos(folder, out, ["rose"], seed=0, minutes=1, steps=1, say=lambda line: None)
    return out


def test_the_generator_made_from_photographs_draws_with_and_without_a_reference(built):
    import torch
    from diffusers import FluxKontextPipeline

    pipe = FluxKontextPipeline.from_pretrained(built / "flux", torch_dtype=torch.float32)
    options = {"height": 64, "width": 64, "max_sequence_length": 32, "num_inference_steps": 1, "max_area": 64 * 64}
    for image in (None, Image.new("RGB", (64, 64), "red")):
        drawn = pipe(prompt="A photo of a rose", image=image, _auto_resize=False, **options).images[0]
        assert drawn.size == (64, 64)


def test_every_folder_says_what_was_measured_and_what_was_held_out(built):
    for name in ("flux", "clip", "judge"):
        assert figures_of(built, name)["held_out"] == "rose" and "rose" in (built / name / "card.md").read_text()
    assert {"known", "novel", "novel_ref"} <= figures_of(built, "flux").keys()
    assert figures_of(built, "clip")["n_test"] == figures_of(built, "judge")["n_test"] == 6


def test_begun_again_what_is_finished_is_kept(built, folder):
    before = {p: p.stat().st_mtime_ns for p in built.rglob("*") if p.is_file()}
    told: list[str] = []
    build_photos(folder, built, ["rose"], seed=0, minutes=1, steps=1, say=told.append)
    assert {p: p.stat().st_mtime_ns for p in built.rglob("*") if p.is_file()} == before
    assert all("kept" in line for line in told)


def test_clip_learns_from_no_photograph_of_the_database(built, folder):
    trained = {r.path for r in ImageFolder(str(folder / "train"), share=(0.0, SPLIT)).records()}
    database = {r.path for r in ImageFolder(str(folder / "train"), share=(SPLIT, 1.0)).records()}
    assert not trained & database and len(trained | database) == 24
    figures = figures_of(built, "clip")
    assert (figures["n_train"], figures["n_database"]) == (len(trained), len(database))


def test_the_generator_never_meets_the_novel_species(folder):
    import torch
    from diffusers import AutoencoderKL
    from realism_garden.build.photos_flux import START
    from realism_garden.build.photos_stream import PhotoStream

    vae = AutoencoderKL.from_pretrained(START / "vae", torch_dtype=torch.float32).eval()
    known = read_photos(folder / "train", only=["daisy", "lily-valley"])
    assert all(path.parent.name != "rose" for path in known.paths)
    stream = PhotoStream(vae, known, seed=0, each=1, looks=2, shown=2)
    captions = [*stream.plain(100).captions, *stream.referred(100).captions]
    assert not any("rose" in text for text in captions)
    assert any("lily valley" in text for text in captions) and any("daisy" in text for text in captions)


def test_a_view_is_a_cut_in_range_and_a_caption_names_its_species(folder):
    x = views(read_photos(folder / "test").images, 64)
    assert x.shape == (6, 3, 64, 64) and x.min() >= -1 and x.max() <= 1
    assert all("daisy" in say("daisy", random.Random(i)) for i in range(20))


@pytest.mark.parametrize(("novel", "sentence"), [(["tulip"], "no species 'tulip'"), (["rose", "daisy"], "at least 2")])
def test_species_that_cannot_be_held_out_are_refused(folder, tmp_path, novel, sentence):
    with pytest.raises(RealismError, match=sentence):
        build_photos(folder, tmp_path, novel, seed=0, minutes=1, steps=1, say=print)


def test_a_folder_without_test_photographs_is_refused(folder, tmp_path):
    with pytest.raises(RealismError, match="should have train/ and test/"):
        build_photos(folder / "train", tmp_path, [], seed=0, minutes=1, steps=1, say=print)


def figures_of(built: Path, name: str) -> dict:
    return json.loads((built / name / "figures.json").read_text())["measured"]
