"""A step of the trainer `lora` against two bare loops of peft and diffusers, in one go: one that encodes texts and
pictures at each step, as diffusers' training scripts do, and one that encodes them once beforehand.

All draw from the posterior, draw noise, go forward and back in the same adapter, clip, and step AdamW along a cosine.
Left out: loading the model, encoding once, the first step of each fit, and checkpoints (one in 100 steps). Rounds
alternate, and the best of each side counts. Processor time is what the goals are about, as machines are shared.
Run: .venv/bin/python benchmarks/lora.py --steps 20 --rounds 3
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import LambdaCallback
from PIL import Image
from realism.base.tables import write_shard
from realism.data.artifacts import Samples
from realism.data.rows import Sample
from realism.testing import work_with
from realism_generators.flux import FluxKontext
from realism_generators.lora import LoRATrainer
from realism_generators.tuning import JOINT_ATTENTION, LoRA

SIZE, LENGTH = 64, 32


class Taken(NamedTuple):
    """Seconds a step, by the wall clock and by the processors."""

    wall: float
    processor: float


def main() -> None:
    """Print all sides."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rank", type=int, default=32)
    given = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        samples = made_samples(folder, 8 * given.batch)
        sides: Mapping[str, Callable[[], Taken]] = {
            "bare, encoding each step": lambda: run_bare(folder, samples, given, once=False),
            "bare, encoded once": lambda: run_bare(folder, samples, given, once=True),
            "trainer lora": lambda: run_ours(folder, given),
        }
        taken: dict[str, list[Taken]] = {side: [] for side in sides}
        for _ in range(given.rounds):
            for side, run in sides.items():
                taken[side].append(run())
    best = {side: Taken(*map(min, zip(*rounds, strict=True))) for side, rounds in taken.items()}
    for side, seconds in best.items():
        rounds = [round(each.processor, 3) for each in taken[side]]
        print(f"{side:25} wall {seconds.wall:7.3f}   processor {seconds.processor:7.3f} s/step   rounds {rounds}")
    each, once, ours = best.values()
    for name, other, goal in (("encoding each step", each, 0.7), ("encoded once", once, 1.03)):
        print(
            f"ours / {name:18} wall {ours.wall / other.wall:7.3f}   processor {ours.processor / other.processor:7.3f}"
            f"   (goal: at most {goal} by processor time)"
        )


def now() -> Taken:
    """The time of both clocks."""
    return Taken(time.perf_counter(), time.process_time())


def a_step(began: Taken, ended: Taken, steps: int) -> Taken:
    """Seconds a step of so many steps."""
    return Taken((ended.wall - began.wall) / steps, (ended.processor - began.processor) / steps)


def made_samples(folder: Path, count: int) -> list[Sample]:
    """Pictures of noise and their table."""
    random = np.random.default_rng(0)
    samples = []
    for i in range(count):
        Image.fromarray(random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)).save(folder / f"{i}.png")
        text = f"a photo of {1 + i % 4} bellamy on the beach"
        samples.append(Sample(f"s{i}", f"p{i}", "samples", text, "", i, f"{i}.png", SIZE, SIZE))
    (folder / "samples").mkdir()
    write_shard(samples, Sample, folder / "samples", 0)
    return samples


def run_ours(folder: Path, given: argparse.Namespace) -> Taken:
    """A step of a fit, without the first."""
    generator = FluxKontext(
        model="garden/flux", dtype="float32", device="cpu", size=SIZE, max_sequence_length=LENGTH, lora=LoRA(given.rank)
    )
    trainer = LoRATrainer(generator, batch=given.batch, accumulate=1, steps=given.steps + 1)
    lightning.seed_everything(0, verbose=False)
    module = trainer.module()
    loader = trainer.data(work_with(folder, {Samples("samples"): folder / "samples"}))
    times: list[Taken] = []
    seen = LambdaCallback(on_train_batch_end=lambda *_: times.append(now()))
    fit = lightning.Trainer(
        max_steps=trainer.length(len(loader)), devices=1, callbacks=[seen], logger=False, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False, default_root_dir=folder, **trainer.fit_options(),
    )  # fmt: skip
    fit.fit(module, loader)
    return a_step(times[0], times[-1], given.steps)


def run_bare(folder: Path, samples: list[Sample], given: argparse.Namespace, *, once: bool) -> Taken:
    """A step of a loop as diffusers' training scripts have it, without the first."""
    step = bare_step(folder, samples, given, once=once)
    step(0)
    began = now()
    for k in range(given.steps):
        step(k + 1)
    return a_step(began, now(), given.steps)


def bare_step(folder: Path, samples: list[Sample], given: argparse.Namespace, *, once: bool) -> Callable[[int], None]:
    """One optimiser step, by its number."""
    from diffusers import FluxKontextPipeline
    from peft import LoraConfig
    from realism.plugins.models import find_model

    torch.manual_seed(0)
    pipeline = FluxKontextPipeline.from_pretrained(str(find_model("garden/flux")), dtype=torch.float32)
    for part in (pipeline.vae, pipeline.text_encoder, pipeline.text_encoder_2, pipeline.transformer):
        part.requires_grad_(False)
    transformer, vae = pipeline.transformer, pipeline.vae.config
    transformer.add_adapter(
        LoraConfig(r=given.rank, lora_alpha=given.rank, init_lora_weights="gaussian", target_modules=[*JOINT_ATTENTION])
    )
    learning = [p for p in transformer.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-4, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, given.steps + 1)
    sigmas_of = pipeline.scheduler.sigmas
    encoded = encoded_once(pipeline, folder, samples) if once else None

    def step(k: int) -> None:
        batch = [(k * given.batch + i) % len(samples) for i in range(given.batch)]
        mirrored = torch.rand(len(batch)) < 0.5
        if encoded:
            plain, flipped, states, pooled, ids = encoded
            chosen = torch.where(mirrored[:, None, None, None], flipped[batch], plain[batch])
            mean, std = chosen.chunk(2, dim=1)
            code = mean + std * torch.randn_like(mean)
            states, pooled = states[batch], pooled[batch]
        else:
            pixels = read(folder, [samples[i] for i in batch])
            pixels = torch.where(mirrored[:, None, None, None], pixels.flip(-1), pixels)
            with torch.no_grad():
                code = pipeline.vae.encode(pixels).latent_dist.sample()
            states, pooled, ids = texts(pipeline, [samples[i] for i in batch])
        latents = (code - vae.shift_factor) * vae.scaling_factor
        noise = torch.randn_like(latents)
        sigma = sigmas_of[(torch.randn(len(batch)).sigmoid() * 1000).long()]
        noisy = (1 - sigma[:, None, None, None]) * latents + sigma[:, None, None, None] * noise
        b, c, h, w = latents.shape
        image_ids = pipeline._prepare_latent_image_ids(b, h // 2, w // 2, latents.device, latents.dtype)
        predicted = transformer(
            hidden_states=pipeline._pack_latents(noisy, b, c, h, w), timestep=sigma, guidance=None,
            encoder_hidden_states=states, pooled_projections=pooled, txt_ids=ids, img_ids=image_ids,
        ).sample  # fmt: skip
        target = pipeline._pack_latents(noise - latents, b, c, h, w)
        loss = (predicted.float() - target.float()).square().flatten(1).mean(1).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()

    return step


def encoded_once(pipeline: Any, folder: Path, samples: list[Sample]) -> tuple[torch.Tensor, ...]:
    """Mean and standard deviation (n, 2 c, h, w) of pictures and of mirrored ones, and the conditioning of texts."""
    pixels = read(folder, samples)
    with torch.no_grad():
        seen = [pipeline.vae.encode(each).latent_dist for each in (pixels, pixels.flip(-1))]
    return *(torch.cat([each.mean, each.std], 1) for each in seen), *texts(pipeline, samples)


def read(folder: Path, samples: list[Sample]) -> torch.Tensor:
    """Pixels (b, 3, h, w) in [-1, 1]."""
    arrays = np.stack([np.asarray(Image.open(folder / s.image).convert("RGB")) for s in samples])
    return torch.from_numpy(arrays).permute(0, 3, 1, 2).float() / 127.5 - 1


def texts(pipeline: Any, samples: list[Sample]) -> tuple[torch.Tensor, ...]:
    """The conditioning of the samples' texts."""
    with torch.no_grad():
        encoded: tuple[torch.Tensor, ...] = pipeline.encode_prompt(
            [s.text for s in samples], None, max_sequence_length=LENGTH
        )
    return encoded


if __name__ == "__main__":
    main()
