"""The shipped miniatures do what their cards say, and a build of a few steps runs."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from realism_garden.build.common import any_items, pictures, to_float
from realism_garden.build.flux_data import pack, unpack
from realism_garden.build.tokenizers import TOKENS, clip_tokenizer, t5_tokenizer
from realism_garden.captions import canonical_caption, caption, plain_caption
from realism_garden.reader import MODELS, load_reader
from realism_garden.scene import random_scene
from realism_garden.species import KNOWN, NAMES, NOVEL, SPECIES, distance
from typer.testing import CliRunner

SIZES = {"flux": 9_200_000, "clip": 2_600_000, "judge": 2_600_000}


@pytest.mark.parametrize("name", SIZES)
def test_a_miniature_has_a_card_and_keeps_its_size(name):
    folder = MODELS / name
    card = (folder / "card.md").read_text()
    assert "Seed" in card and "| figure | value |" in card
    assert sum(f.stat().st_size for f in folder.rglob("*.safetensors")) <= SIZES[name]
    for picture in folder.glob("*.png"):
        assert picture.stat().st_size <= 200_000


def test_the_reader_tells_the_species_apart():
    items = any_items(random.Random("reader test"), 480, named=1.0)
    seen = load_reader().read(to_float(pictures(items)))["species"]
    right = sum(s.species.name == name for (s, _), name in zip(items, seen, strict=True))
    assert right / len(items) >= 0.99


def test_packing_is_the_pipelines_own():
    from diffusers import FluxKontextPipeline

    x = torch.randn(2, 4, 16, 16)
    ours = pack(x)
    assert torch.equal(ours, FluxKontextPipeline._pack_latents(x, 2, 4, 16, 16))
    assert torch.equal(unpack(ours), x)
    assert torch.equal(unpack(ours), FluxKontextPipeline._unpack_latents(ours, 64, 64, 4))


def test_names_are_spelt_in_pieces_and_captions_fit():
    rng = random.Random(0)
    t5, clip = t5_tokenizer(0), clip_tokenizer(0)
    for name in NAMES:
        assert len(t5.tokenize(name)) > 1 and len(clip.tokenize(name)) > 1
    for species in SPECIES:
        scene = random_scene(rng, species, count=1, companion="yellow butterfly")
        for text in (caption(scene, rng), canonical_caption(scene)):
            assert len(t5(text).input_ids) <= TOKENS and len(clip(text).input_ids) <= TOKENS


def test_the_flux_stream_never_shows_a_novel_species(monkeypatch):
    from realism_garden.build import flux_data

    monkeypatch.setattr(flux_data.Stream, "_encoded", lambda self, vae, cache: torch.zeros(len(self.scenes), 64, 16))
    stream = flux_data.Stream(None, 0, known=360, other=1600)
    novel = {s.name for s in NOVEL}
    for scene in stream.scenes:
        assert not scene.species.novel
        assert min(distance(scene.species, n) for n in NOVEL) >= (1 if scene.species in KNOWN else 2)
    for _ in range(5):
        for batch in (stream.plain(64), stream.referred(40)):
            assert not any(name in text for name in novel for text in batch.captions)


def test_the_shipped_pipeline_draws_known_species():
    from diffusers import FluxKontextPipeline

    pipeline = FluxKontextPipeline.from_pretrained(MODELS / "flux", torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    names = [s.name for s in KNOWN]
    images = pipeline(
        prompt=[plain_caption(n) for n in names], negative_prompt=[""] * len(names), true_cfg_scale=2.5, height=64,
        width=64, num_inference_steps=8, max_sequence_length=TOKENS, generator=torch.Generator().manual_seed(0),
        max_area=64 * 64, _auto_resize=False,
    ).images  # fmt: skip
    seen = load_reader().read(images)["species"]
    assert sum(a == b for a, b in zip(seen, names, strict=True)) / len(names) >= 0.75


@pytest.mark.parametrize("name", ["clip", "judge"])
def test_encoders_find_the_species_of_a_caption(name):
    import open_clip
    from realism_garden.build.clip import held_out

    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{MODELS / name}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{MODELS / name}")
    assert held_out(model.eval(), tokenizer, seed=77, n=240)["species_recall_at_1"] >= 0.85


@pytest.mark.slow
def test_a_build_of_a_few_steps_writes_every_folder(tmp_path: Path):
    from realism_garden.cli import app

    result = CliRunner().invoke(app, ["build", "--steps", "2", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    for name in SIZES:
        assert (tmp_path / name / "card.md").exists()


def test_an_unknown_miniature_is_refused():
    from realism_garden.cli import app

    result = CliRunner().invoke(app, ["build", "flx"])
    assert result.exit_code == 2 and "flux, clip, judge" in result.output


def test_the_sheet_is_written(tmp_path: Path):
    from realism_garden.cli import app

    assert CliRunner().invoke(app, ["show", str(tmp_path / "a" / "garden.png")]).exit_code == 0
    assert (tmp_path / "a" / "garden.png").stat().st_size > 10_000
