"""Trains the flux miniature: a FluxKontextPipeline folder that draws the 18 known species and copies references.

Left out: guidance distillation (so sampling uses true_cfg_scale with an empty negative prompt), resolutions other than
64, the 512-token prompts of the real one (32 here: call the pipeline with max_sequence_length=32).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from PIL import Image
from safetensors.torch import save_file

from ..captions import caption
from ..reader import Reader, load_reader
from ..scene import random_scene
from ..species import KNOWN, NOVEL, Species, random_species
from .common import Average, Clock, Report, begin, pictures, plain_attention, set_rate
from .flux_data import LatentBatches, Stream, encode
from .flux_model import FluxParts, Words, draw, flow_loss, naming_loss, save_pipeline
from .sheets import save_small

PLAIN, REFERRED = 64, 40  # batch sizes without and with references, of about equal cost
RATE, MUON_RATE = 2e-3, 2e-3


def optimizers(parts: FluxParts) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the transformer's blocks, AdamW for everything else."""
    matrices, rest = [], []
    for name, p in parts.named_parameters():
        inner = p.ndim == 2 and "transformer" in name.split(".")[0] and "blocks" in name
        (matrices if inner else rest).append(p)
    return [
        torch.optim.Muon(matrices, lr=MUON_RATE, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=RATE, betas=(0.9, 0.98), weight_decay=0.01),
    ]


def trial(species: list[Species], each: int, seed: int) -> tuple[list, list[str], torch.Tensor]:
    """Scenes, captions and reference pictures (uint8, the same species in another scene) for a trial."""
    rng = random.Random(f"flux trial {seed}")
    scenes = [random_scene(rng, s) for s in species for _ in range(each)]
    captions = [caption(s, rng) for s in scenes]
    references = pictures([(random_scene(rng, s.species), rng.randrange(2**31)) for s in scenes])
    return scenes, captions, references


@torch.no_grad()
def held_out(
    parts: FluxParts, vae: AutoencoderKL, words: Words, reader: Reader, seed: int, each: int, **options
) -> dict:
    """Shares read right: known species, novel ones without and with a true reference, random looks with one."""
    out: dict[str, float] = {}
    rng = random.Random(f"looks {seed}")
    looks = [random_species(rng) for _ in range(2 * each)]
    for case, species, n, use in (
        ("known", list(KNOWN), each, False), ("known_ref", list(KNOWN), max(each // 2, 1), True),
        ("novel", list(NOVEL), each, False), ("novel_ref", list(NOVEL), 2 * each, True), ("random_ref", looks, 1, True),
    ):  # fmt: skip
        scenes, captions, references = trial(species, n, seed)
        drawn = draw(parts, vae, words, captions, encode(vae, references) if use else None, seed, **options)
        seen = reader.read(drawn)
        truth = [s.species for s in scenes]
        if case == "random_ref":
            for trait in ("form", "main", "pattern"):
                out[f"random_ref_{trait}"] = share(seen[trait], [getattr(t, trait) for t in truth])
        else:
            out[case] = share(seen["species"], [t.name for t in truth])
        if case == "known":
            out |= {k: share(seen[k], [getattr(s, k) for s in scenes]) for k in ("count", "background", "companion")}
        out[f"n_{case}"] = len(scenes)
    return out


def checkpoint(parts: FluxParts, words: Words, folder: Path) -> None:
    """Keeps weights and tokenizers; each weight is cloned, as T5 has one tensor under two names."""
    words.clip.save_pretrained(folder / "tokenizer")
    words.t5.save_pretrained(folder / "tokenizer_2")
    save_file({k: v.clone() for k, v in parts.state_dict().items()}, folder / "parts.safetensors")


def share(seen: list, truth: list) -> float:
    return round(sum(a == b for a, b in zip(seen, truth, strict=True)) / len(truth), 3)


@torch.no_grad()
def grid(parts: FluxParts, vae: AutoencoderKL, words: Words, seed: int, **options) -> Image.Image:
    """One known species a cell (3 rows of 12), then for novel ones reference above drawing (12 columns)."""
    _, captions, _ = trial(list(KNOWN), 2, seed)
    known = draw(parts, vae, words, captions, None, seed, **options)
    _, captions, references = trial(list(NOVEL), 4, seed)
    novel = draw(parts, vae, words, captions, encode(vae, references), seed, **options)
    rows = [*known.split(12)]
    for r, d in zip((references.float() / 127.5 - 1).split(12), novel.split(12), strict=True):
        rows += [r, d]
    sheet = torch.cat([torch.cat(list(row), 2) for row in rows], 1)
    return Image.fromarray(((sheet + 1) * 127.5).round().byte().permute(1, 2, 0).numpy())


def learn_names(parts: FluxParts, words: Words, stream: LatentBatches, steps: int) -> None:
    """Teaches the two text encoders, alone and quickly, to tell the known names apart."""
    encoders = [parts.text_encoder, parts.text_encoder_2, parts.namers]
    optimizer = torch.optim.AdamW([p for m in encoders for p in m.parameters()], lr=1e-3)
    for step in range(steps):
        batch = stream.plain(64)
        loss = naming_loss(parts, parts.text(*words(batch.captions)), batch.named)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"names step {step} loss {loss.item():.3f}", flush=True)


def training(
    parts: FluxParts, words: Words, stream: LatentBatches, clock: Clock, average: Average,
    plain_every: tuple[int, int] = (2, 2),
) -> Iterator[int]:  # fmt: skip
    """Trains with and without references; yields each step once it is taken.

    Of so many batches one is without references, in the first and in the second half of the time.
    """
    opts = optimizers(parts)
    running = {"plain": 0.0, "referred": 0.0}
    for step in clock:
        kind = "referred" if step % plain_every[clock.share >= 0.5] else "plain"
        loss, naming = flow_loss(parts, words, stream.plain(PLAIN) if kind == "plain" else stream.referred(REFERRED))
        (loss + 0.05 * naming).backward()
        torch.nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        for opt, rate in zip(opts, (MUON_RATE, RATE), strict=True):
            set_rate(opt, clock.rate(rate))
            opt.step()
            opt.zero_grad()
        average.update(parts)
        running[kind] = 0.98 * running[kind] + 0.02 * loss.item() if step > 1 else loss.item()
        if step % 50 == 0:
            losses = " ".join(f"{k} {v:.4f}" for k, v in {**running, "naming": naming.item()}.items())
            print(f"flux step {step} {clock.seconds():.0f} s {losses}", flush=True)
        yield step


@plain_attention()
def build(
    out: Path, vae_folder: Path, reader_folder: Path, seed: int, minutes: float, steps: int | None = None,
    known: int = 10000, other: int = 20000, report: Report = None, scratch: Path | None = None, compiled: bool = True,
    watch_minutes: float = 8,
) -> dict:  # fmt: skip
    """Trains and saves the pipeline; returns its figures. ``scratch`` keeps the latents and checkpoints."""
    begin(seed)
    vae = AutoencoderKL.from_pretrained(vae_folder).eval()
    reader = load_reader(reader_folder)
    scratch = scratch or out
    scratch.mkdir(parents=True, exist_ok=True)
    words = Words(seed)
    parts = FluxParts(words.t5, words.clip)
    stream = Stream(vae, seed, known, other, scratch / "pool.safetensors")
    learn_names(parts, words, stream, steps or 500)
    average = Average(parts, 0.998)
    if compiled:
        parts.transformer.compile(dynamic=False)
    clock, watched = Clock(minutes, steps, report), 120 - 60 * watch_minutes
    for step in training(parts, words, stream, clock, average):
        if clock.seconds() - watched > 60 * watch_minutes:
            watched = clock.seconds()
            checkpoint(average.model, words, scratch)
            reader = load_reader(reader_folder)
            print(f"flux step {step}", held_out(average.model, vae, words, reader, seed, 4), flush=True)
            grid(average.model, vae, words, seed).save(scratch / f"grid-{step}.png")
    checkpoint(average.model, words, scratch)
    save_pipeline(average.model, vae, words, out)
    save_small(grid(average.model, vae, words, seed), out / "grid.png")
    figures = held_out(average.model, vae, words, reader, seed + 1, 2 if steps else 20)
    return {**figures, "steps": clock.step, "seconds": round(clock.seconds())}
