"""Generators of the real classes that learn from two samples, for tests."""

from __future__ import annotations

import functools
import json
import logging
import shutil

import examples
import lightning
import tiny
from realism import Prompt
from realism.base.tables import write_shard
from realism.data.artifacts import Samples, ScoreTable
from realism.data.rows import Sample, Score
from realism.testing import work_with
from realism_generators.amused import Amused
from realism_generators.flux import Flux, FluxKontext
from realism_generators.stable_diffusion import StableDiffusion, StableDiffusion3, StableDiffusionXL
from realism_generators.tuning import LoRA


@functools.cache
def velocity() -> str:
    """The tiny Stable Diffusion as one that predicts velocity."""
    folder = shutil.copytree(examples.pipeline("stable_diffusion"), examples.folder() / "velocity")
    settings = folder / "scheduler" / "scheduler_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"prediction_type": "v_prediction"}))
    return str(folder)


FAST = {"dtype": "float32", "device": "cpu", "steps": 2}
FAMILIES = {
    "sd": (StableDiffusion, lambda: examples.pipeline("stable_diffusion")),
    "sd-velocity": (StableDiffusion, velocity),
    "sdxl": (StableDiffusionXL, lambda: examples.pipeline("stable_diffusion_xl")),
    "sd3": (StableDiffusion3, lambda: examples.pipeline("stable_diffusion_3")),
    "flux": (Flux, lambda: examples.pipeline("flux")),
    "flux-kontext": (FluxKontext, examples.kontext),
    "amused": (Amused, examples.amused),
}
TEXTS = ("a red rose", "the blue daisy with a bee")
ROSE = Prompt("p", TEXTS[0])


def made(name, **options):
    family, model = FAMILIES[name]
    return family(model=model(), **{"lora": LoRA(rank=4, alpha=8), **FAST, **options})


def arm(folder, count=2, rewards=()):
    """The state after `generate`, and `score` if there are rewards, one for each of the first samples."""
    samples = []
    for i in range(count):
        tiny.picture(i, (32, 32)).save(folder / f"{i}.png")
        samples.append(Sample(f"s{i}", f"p{i}", "samples", TEXTS[i % 2], "", i, f"{i}.png", 32, 32))
    for name in ("samples", "scores"):
        (folder / name).mkdir()
    write_shard(samples, Sample, folder / "samples", 0)
    write_shard([Score(f"s{i}", "good", r) for i, r in enumerate(rewards)], Score, folder / "scores", 0)
    return work_with(folder, {Samples("samples"): folder / "samples", ScoreTable("samples", "good"): folder / "scores"})


def fitted(trainer, folder, resume=None, **options):
    """The module after a fit on two samples, and the folder that its adapter was saved in. resume: a checkpoint."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    lightning.seed_everything(0, verbose=False)
    module = trainer.module()
    loader = trainer.data(arm(folder))
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    lightning.Trainer(
        max_steps=trainer.length(len(loader)),
        default_root_dir=folder,
        **{"enable_checkpointing": False, **quiet, **trainer.fit_options(), **options},
    ).fit(module, loader, ckpt_path=resume, weights_only=True)
    (folder / "weights").mkdir()
    trainer.save(module, folder / "weights")
    return module, folder / "weights"
