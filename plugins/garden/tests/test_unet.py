"""The U-Net miniature is an ordinary Stable Diffusion folder, and draws the species that it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from realism import Prompt, Request
from realism.base.files import fingerprint_path
from realism.plugins.manager import plugins
from realism.testing.making import make_part
from realism_garden.captions import plain_caption
from realism_garden.reader import MODELS, load_reader
from realism_garden.species import KNOWN, NAMES
from typer.testing import CliRunner

UNET = MODELS / "unet"
WEIGHTS = ("unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors")
KNOWN_NAMES = [species.name for species in KNOWN]


def test_the_folder_is_small_and_shares_the_autoencoder_of_flux():
    assert sum((UNET / part).stat().st_size for part in WEIGHTS) <= 3_000_000
    assert (UNET / "grid.png").stat().st_size <= 120_000
    assert fingerprint_path(UNET / "vae") == fingerprint_path(MODELS / "flux" / "vae")


def test_the_part_sd_draws_most_known_species_right():
    generator = make_part(
        "sd", {"model": "garden/unet", "size": 64, "steps": 10, "guidance": 4, "dtype": "float32"}, plugins().registry
    )
    asked = [Request(Prompt(name, plain_caption(name)), seed=i) for i, name in enumerate(KNOWN_NAMES)]
    images = generator.generate(asked)
    seen = load_reader().read(images)["species"]
    assert sum(a == b for a, b in zip(seen, KNOWN_NAMES, strict=True)) / len(seen) >= 0.7


def test_plain_diffusers_loads_it_and_draws_day_and_night_apart():
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(UNET, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    captions = [f"a photo of a bellamy in a meadow {time}" for time in ("by day", "at night") for _ in range(4)]
    images = pipeline(
        captions, height=64, width=64, num_inference_steps=10, guidance_scale=4.0, output_type="pt",
        generator=torch.Generator().manual_seed(0),
    ).images  # fmt: skip
    assert load_reader().read(images * 2 - 1)["light"].count("night") >= 3
    assert images[:4].mean() - images[4:].mean() > 0.1


def test_no_training_picture_shows_a_novel_species(monkeypatch):
    from realism_garden.build import flux_data

    monkeypatch.setattr(flux_data.Stream, "_encoded", lambda self, vae, cache: torch.zeros(len(self.scenes), 64, 16))
    stream = flux_data.Stream(None, 0, known=360, other=0)
    captions = " ".join(stream.plain(64, unnamed=0.0).captions)
    assert {scene.species for scene in stream.scenes} == set(KNOWN)
    assert not any(name in captions for name in set(NAMES) - set(KNOWN_NAMES))


@pytest.mark.slow
def test_a_build_of_two_steps_writes_the_folder_and_its_card(tmp_path: Path):
    from realism_garden.cli import app

    result = CliRunner().invoke(app, ["build", "unet", "--steps", "2", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "| species |" in (tmp_path / "unet" / "card.md").read_text()
    assert (tmp_path / "unet" / "vae" / "config.json").is_file()
