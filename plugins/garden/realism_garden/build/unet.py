"""Trains the unet miniature: a StableDiffusionPipeline folder that predicts velocity and draws the 18 known species.

Its autoencoder is that of the flux miniature. StableDiffusionPipeline only scales latents, so the shift that Flux takes
off is put back before training. Noise grows by the cosine schedule up to no signal at all, else every picture would
come out at the same mean brightness, night as day (Lin et al. 2023, "Common Diffusion Noise Schedules ... Are Flawed").
In the last part of the training 40 % of the captions misstate a fact or two, as captions of the web do: the U-Net then
obeys in part only, as those do that DreamSync begins with.
Left out: a safety checker, an image encoder, pictures of other sizes.
"""

from __future__ import annotations

import copy
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from torch import nn
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from ..captions import canonical_caption, caption
from ..reader import Reader, load_reader
from ..scene import Scene, random_scene
from ..species import KNOWN
from .common import Average, Clock, Report, begin, plain_attention, set_rate
from .flux import share
from .flux_data import LatentBatch, Stream, unpack
from .sheets import save_small, sheet
from .tokenizers import TOKENS, clip_tokenizer

TEXT, BATCH, RATE = 96, 64, 2e-3
STEPS, GUIDANCE = 20, 4.0
FACTS = ("count", "background", "light", "companion", "layout")
WRONG, WRONG_FROM = 0.4, 0.85  # the share of captions that misstate, and the share of the training that comes before


def new_scheduler() -> DDIMScheduler:
    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction", rescale_betas_zero_snr=True,
        timestep_spacing="trailing", clip_sample=False, steps_offset=1,
    )  # fmt: skip


def misstated(scene: Scene, rng: random.Random) -> Scene:
    """The scene with one or two of its facts drawn anew."""
    other = random_scene(rng, scene.species)
    facts = {fact: getattr(scene, fact) for fact in (*FACTS, "side")}
    drawn = rng.sample(FACTS[:4], rng.choice((1, 1, 2)))
    return random_scene(rng, scene.species, **{**facts, **{fact: getattr(other, fact) for fact in drawn}})


class Captioned(Stream):
    """Pictures of which a share ``wrong`` (0 to 1) have captions that misstate them."""

    wrong = 0.0

    def _words(self, scene: Scene, name: str | None) -> str:
        return super()._words(misstated(scene, self.rng) if self.rng.random() < self.wrong else scene, name)


class UNetParts(nn.Module):
    """U-Net and text encoder, trained as one; ``namer``, only for training, names the species from the pooled text."""

    def __init__(self, words: CLIPTokenizer):
        super().__init__()
        self.unet = UNet2DConditionModel(
            sample_size=16, block_out_channels=(48, 72), layers_per_block=1, mid_block_type=None, norm_num_groups=8,
            down_block_types=("CrossAttnDownBlock2D",) * 2, up_block_types=("CrossAttnUpBlock2D",) * 2,
            cross_attention_dim=TEXT, attention_head_dim=(2, 4), use_linear_projection=True,
        )  # fmt: skip
        self.text_encoder = CLIPTextModel(CLIPTextConfig(
            vocab_size=len(words), hidden_size=TEXT, intermediate_size=2 * TEXT, num_hidden_layers=2,
            num_attention_heads=4, max_position_embeddings=TOKENS, bos_token_id=words.bos_token_id,
            eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id, projection_dim=TEXT,
        ))  # fmt: skip
        self.namer = nn.Linear(TEXT, len(KNOWN) + 1)
        for name, module in self.unet.named_modules():  # every residual branch begins by doing nothing
            if name.endswith((".conv2", ".proj_out", "conv_out")):
                nn.init.zeros_(module.weight)

    def naming_loss(self, pooled: torch.Tensor, named: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of the species that a caption names, from pooled text [n, 96]; else thousands of steps go by
        before the names are told apart."""
        return F.cross_entropy(self.namer(pooled).float(), named)


def token_ids(words: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """Token ids [n, 32], padded as the pipeline pads."""
    return words(captions, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt").input_ids


def velocity_loss(
    parts: UNetParts, words: CLIPTokenizer, batch: LatentBatch, latents: torch.Tensor, kept: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared error of v = sqrt(a) noise - sqrt(1 - a) latents (Salimans and Ho 2022), and the loss of naming.

    ``latents`` [n, 4, 16, 16] are scaled; ``kept`` [1000] is a at each time: the share of variance that is picture.
    """
    n = len(latents)
    t = ((torch.arange(n) + torch.rand(1)) * len(kept) / n).long()[torch.randperm(n)] % len(kept)  # evenly spread
    a = kept[t].view(n, 1, 1, 1)
    noise = torch.randn_like(latents)
    x = a.sqrt() * latents + (1 - a).sqrt() * noise
    with torch.autocast("cpu", torch.bfloat16):
        text = parts.text_encoder(token_ids(words, batch.captions))
        v = parts.unet(x, t, text.last_hidden_state).sample
        naming = parts.naming_loss(text.pooler_output, batch.named)
    return (v.float() - (a.sqrt() * noise - (1 - a).sqrt() * latents)).square().mean(), naming


def as_pipeline(parts: UNetParts, vae: AutoencoderKL, words: CLIPTokenizer) -> StableDiffusionPipeline:
    pipeline = StableDiffusionPipeline(
        vae=vae, text_encoder=parts.text_encoder, tokenizer=words, unet=parts.unet, scheduler=new_scheduler(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw(
    pipeline: StableDiffusionPipeline, captions: list[str], seed: int, steps: int = STEPS, guidance: float = GUIDANCE
) -> list[Image.Image]:
    """Pictures of 64 x 64 for captions, 45 at a time, by the plain pipeline."""
    images: list[Image.Image] = []
    for k in range(0, len(captions), 45):
        generator = torch.Generator().manual_seed(seed + k)
        images += pipeline(
            captions[k : k + 45], height=64, width=64, num_inference_steps=steps, guidance_scale=guidance,
            generator=generator,
        ).images  # fmt: skip
    return images


def trial(each: int, seed: int) -> list[Scene]:
    """Scenes of the known species, so many of each, that no training saw."""
    rng = random.Random(f"unet trial {seed}")
    return [random_scene(rng, s) for s in KNOWN for _ in range(each)]


def held_out(
    pipeline: StableDiffusionPipeline,
    reader: Reader,
    seed: int,
    each: int,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
) -> dict[str, float]:
    """Shares read right: each fact of captions that state every fact, and the species of captions in any wording."""
    scenes, rng = trial(each, seed), random.Random(f"unet wording {seed}")
    seen = reader.read(draw(pipeline, [canonical_caption(s) for s in scenes], seed, steps, guidance))
    shown = {"species": [s.species.name for s in scenes]} | {f: [getattr(s, f) for s in scenes] for f in FACTS}
    out = {fact: share(seen[fact], truth) for fact, truth in shown.items()}
    parts = [f for f in shown if f != "layout"]
    out["all but layout"] = share(*(list(zip(*(facts[f] for f in parts), strict=True)) for facts in (seen, shown)))
    seen = reader.read(draw(pipeline, [caption(s, rng) for s in scenes], seed + 1, steps, guidance))
    out["species, any wording"] = share(seen["species"], shown["species"])
    return {**out, "n": len(scenes)}


def grid(pipeline: StableDiffusionPipeline, seed: int) -> Image.Image:
    """Two pictures of each known species, twelve in a row."""
    return sheet(draw(pipeline, [canonical_caption(s) for s in trial(2, seed)], seed), 12)


def learn_names(parts: UNetParts, words: CLIPTokenizer, stream: Stream, steps: int) -> None:
    """Teaches the text encoder, alone and quickly, to tell the known names apart."""
    optimizer = torch.optim.AdamW([*parts.text_encoder.parameters(), *parts.namer.parameters()], lr=1e-3)
    for step in range(steps):
        batch = stream.plain(64, unnamed=0.0)
        loss = parts.naming_loss(parts.text_encoder(token_ids(words, batch.captions)).pooler_output, batch.named)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"names step {step} loss {loss.item():.3f}", flush=True)


def training(
    parts: UNetParts, words: CLIPTokenizer, stream: Captioned, shift: float, clock: Clock, average: Average
) -> Iterator[int]:
    """Trains; yields each step once it is taken. ``shift`` turns Flux's latents into those that are only scaled."""
    matrices = [p for n, p in parts.unet.named_parameters() if p.ndim == 2 and "transformer_blocks" in n]
    inner = {id(p) for p in matrices}
    rest = [p for p in parts.parameters() if id(p) not in inner]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=RATE, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=RATE, betas=(0.9, 0.98), weight_decay=0.01),
    ]
    kept, running = new_scheduler().alphas_cumprod, 1.0
    for step in clock:
        stream.wrong = WRONG if clock.share >= WRONG_FROM else 0.0
        batch = stream.plain(BATCH, unnamed=0.0)
        loss, naming = velocity_loss(parts, words, batch, unpack(batch.target) + shift, kept)
        (loss + 0.05 * naming).backward()
        torch.nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        for optimizer in optimizers:
            set_rate(optimizer, clock.rate(RATE))
            optimizer.step()
            optimizer.zero_grad()
        average.update(parts)
        running = 0.98 * running + 0.02 * loss.item()
        if step % 50 == 0:
            print(f"unet step {step} {clock.seconds():.0f} s loss {running:.4f} naming {naming.item():.4f}", flush=True)
        yield step


def save(parts: UNetParts, vae_folder: Path, words: CLIPTokenizer, out: Path) -> None:
    """Writes the folder in float16; the files of an autoencoder beside it are linked, of any other copied."""
    vae = AutoencoderKL.from_pretrained(vae_folder)
    as_pipeline(copy.deepcopy(parts).half().eval(), vae, words).save_pretrained(out)
    for file in sorted(vae_folder.iterdir()):
        target = out / "vae" / file.name
        target.unlink(missing_ok=True)
        if vae_folder.resolve().parents[1] == out.resolve().parent:
            target.symlink_to(os.path.relpath(file.resolve(), target.parent.resolve()))
        else:
            shutil.copyfile(file, target)


@plain_attention()
def build(
    out: Path, vae_folder: Path, reader_folder: Path, seed: int, minutes: float, steps: int | None = None,
    pool: int = 14400, naming_steps: int = 500, each: int = 10, drawing_steps: int = STEPS, report: Report = None,
    scratch: Path | None = None, watch_minutes: float = 6,
) -> dict:  # fmt: skip
    """Trains and saves the pipeline; returns its figures, from ``each`` pictures a species of so many drawing steps.

    ``scratch`` keeps the latents, and pictures on the way.
    """
    begin(seed)
    started = time.process_time()
    vae = AutoencoderKL.from_pretrained(vae_folder, torch_dtype=torch.float32).eval()
    reader, words = load_reader(reader_folder), clip_tokenizer(seed)
    scratch = scratch or out
    scratch.mkdir(parents=True, exist_ok=True)
    parts = UNetParts(words)
    stream = Captioned(vae, seed, pool, 0, scratch / "pool.safetensors" if scratch != out else None)
    learn_names(parts, words, stream, naming_steps)
    average = Average(parts, 0.998)
    clock, watched = Clock(minutes, steps, report), 0.0
    pipeline = as_pipeline(average.model, vae, words)
    for step in training(parts, words, stream, vae.config.shift_factor * vae.config.scaling_factor, clock, average):
        if scratch != out and clock.seconds() - watched > 60 * watch_minutes:
            watched = clock.seconds()
            print(f"unet step {step}", held_out(pipeline, reader, seed, 2), flush=True)
            grid(pipeline, seed).save(scratch / f"grid-{step}.png")
            save(average.model, vae_folder, words, scratch / "unet")
    seconds = round(time.process_time() - started)
    save(average.model, vae_folder, words, out)
    pipeline = StableDiffusionPipeline.from_pretrained(out, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    save_small(grid(pipeline, seed), out / "grid.png")
    return {
        **card_figures(pipeline, reader, seed + 1, each, drawing_steps),
        "training": {"pictures": pool, "steps": clock.step, "processor_seconds": seconds},
    }


def card_figures(pipeline: StableDiffusionPipeline, reader: Reader, seed: int, each: int, steps: int = STEPS) -> dict:
    """What the card says: with guidance, and in half of the steps without, as for tuning."""
    return {
        f"held out: share read right, {n} steps, guidance {guidance:g}": held_out(
            pipeline, reader, seed, each, n, guidance
        )
        for n, guidance in ((steps, GUIDANCE), (max(steps // 2, 1), 1.0))
    }
