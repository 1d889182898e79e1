"""A step of the trainer `lora` against a bare loop of peft and diffusers that does the same work, in one go.

Both read the pictures of each batch from their files, encode pictures and texts, draw noise, go forward and back in
the same adapter, clip, and step AdamW along a cosine. Left out: loading the model, the first step of each fit, and
checkpoints (one in 100 steps). Rounds alternate, and the best of each side counts.
Run: .venv/bin/python benchmarks/lora.py --steps 20 --rounds 3
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import LambdaCallback
from PIL import Image
from realism.base.tables import write_part
from realism.data.rows import Sample
from realism.data.state import State
from realism_generators.flux import FluxKontext
from realism_generators.lora import LoRATrainer
from realism_generators.tuning import JOINT_ATTENTION, LoRA

SIZE, LENGTH = 64, 32


def main() -> None:
    """Print both sides."""
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
        ours, bare = [], []
        for _ in range(given.rounds):
            bare.append(run_bare(folder, samples, given))
            ours.append(run_ours(folder, given))
    print(f"bare loop      {min(bare):7.3f} s/step   rounds {[round(s, 3) for s in bare]}")
    print(f"trainer lora   {min(ours):7.3f} s/step   rounds {[round(s, 3) for s in ours]}")
    print(f"ratio          {min(ours) / min(bare):7.3f}          (goal: at most 1.05)")


def made_samples(folder: Path, count: int) -> list[Sample]:
    """Pictures of noise and their table."""
    random = np.random.default_rng(0)
    samples = []
    for i in range(count):
        Image.fromarray(random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)).save(folder / f"{i}.png")
        text = f"a photo of {1 + i % 4} bellamy on the beach"
        samples.append(Sample(f"s{i}", f"p{i}", "samples", text, "", i, f"{i}.png", SIZE, SIZE))
    (folder / "samples").mkdir()
    write_part(samples, Sample, folder / "samples", 0)
    return samples


def run_ours(folder: Path, given: argparse.Namespace) -> float:
    """Seconds a step of a fit, without the first."""
    generator = FluxKontext(
        model="garden/flux", dtype="float32", device="cpu", size=SIZE, max_sequence_length=LENGTH, lora=LoRA(given.rank)
    )
    trainer = LoRATrainer(generator, batch=given.batch, accumulate=1, steps=given.steps + 1)
    lightning.seed_everything(0, verbose=False)
    module = trainer.module()
    loader = trainer.data(State().filled({"samples:samples": folder / "samples"}, ""), folder)
    times: list[float] = []
    seen = LambdaCallback(on_train_batch_end=lambda *_: times.append(time.perf_counter()))
    fit = lightning.Trainer(
        max_steps=trainer.length(len(loader)), devices=1, callbacks=[seen], logger=False, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False, **trainer.fit_options(),
    )  # fmt: skip
    fit.fit(module, loader)
    return (times[-1] - times[0]) / given.steps


def run_bare(folder: Path, samples: list[Sample], given: argparse.Namespace) -> float:
    """Seconds a step of a loop as diffusers' training scripts have it, without the first."""
    step = bare_step(folder, samples, given)
    step(0)
    began = time.perf_counter()
    for k in range(given.steps):
        step(k + 1)
    return (time.perf_counter() - began) / given.steps


def bare_step(folder: Path, samples: list[Sample], given: argparse.Namespace) -> Callable[[int], None]:
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

    def step(k: int) -> None:
        batch = [samples[(k * given.batch + i) % len(samples)] for i in range(given.batch)]
        with torch.no_grad():
            arrays = np.stack([np.asarray(Image.open(folder / s.image).convert("RGB")) for s in batch])
            pixels = torch.from_numpy(arrays).permute(0, 3, 1, 2).float() / 127.5 - 1
            mirrored = torch.rand(len(batch)) < 0.5
            pixels = torch.where(mirrored[:, None, None, None], pixels.flip(-1), pixels)
            latents = (pipeline.vae.encode(pixels).latent_dist.sample() - vae.shift_factor) * vae.scaling_factor
            states, pooled, ids = pipeline.encode_prompt([s.text for s in batch], None, max_sequence_length=LENGTH)
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


if __name__ == "__main__":
    main()
