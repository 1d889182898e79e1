"""Trains the flux miniature on photographs: its autoencoder, then text encoders and transformer, from the garden's.

It learns names of the known species only, and to take the look of a reference picture. Left out as in build/flux.py:
guidance distillation, sizes other than 64, long prompts.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel
from PIL import Image
from transformers import CLIPTextModel, T5EncoderModel

from ..captions import plain_caption
from . import autoencoder
from .common import Average, Clock, Report, begin, plain_attention
from .flux import learn_names, share, training
from .flux_data import encode
from .flux_model import FluxParts, Words, draw, save_pipeline
from .photos_clip import MODELS, Namer
from .photos_data import Photos, plain, spoken, views
from .photos_stream import SIZE, PhotoStream
from .sheets import save_small, sheet

VAE_RATE = 1e-3
# Of so many batches one is without references, in the first and in the second half of the time: names are learned
# within minutes, taking the look of a reference is not.
PLAIN_EVERY = (2, 4)
START = MODELS / "flux"


def build_autoencoder(
    out: Path, known: Photos, tests: dict[str, Photos], seed: int, minutes: float, steps: int | None = None,
    report: Report = None,
) -> dict:  # fmt: skip
    """Trains the garden's autoencoder on photographs of the known species; returns its PSNR on each of ``tests``."""
    begin(seed)
    model = AutoencoderKL.from_pretrained(START / "vae", torch_dtype=torch.float32)
    clock = Clock(minutes, steps, report)

    def batch() -> torch.Tensor:
        return views(known.images[torch.randint(len(known.images), (autoencoder.BATCH,))], SIZE)

    held = {name: plain(photos.images, SIZE) for name, photos in tests.items()}
    before = {f"psnr_before_{name}_db": round(autoencoder.psnr(model, x), 2) for name, x in held.items()}
    for average in autoencoder.fit(model, batch, clock, VAE_RATE, hold=0.3):
        reached = average
    autoencoder.set_latent_scale(reached, plain(known.images, SIZE))
    reached.save_pretrained(out)
    after = {f"psnr_{name}_db": round(autoencoder.psnr(reached, x), 2) for name, x in held.items()}
    count = {f"n_{name}": len(x) for name, x in held.items()}
    return {**before, **after, **count, "steps": clock.step, "seconds": round(clock.seconds())}


def garden_parts(words: Words, names: int) -> FluxParts:
    """The garden's transformer and text encoders, ready to learn so many other names."""
    parts = FluxParts(words.t5, words.clip, names)
    for name, kind in (
        ("transformer", FluxTransformer2DModel), ("text_encoder", CLIPTextModel), ("text_encoder_2", T5EncoderModel),
    ):  # fmt: skip
        trained = kind.from_pretrained(START / name, torch_dtype=torch.float32)
        getattr(parts, name).load_state_dict(trained.state_dict())
    return parts


def as_images(drawn: torch.Tensor) -> list[Image.Image]:
    """Pictures in -1 to 1 [n, 3, h, w] as RGB images."""
    return [Image.fromarray(x.permute(1, 2, 0).numpy()) for x in ((drawn + 1) * 127.5).round().byte()]


class Trial:
    """Drawings of ``each`` picture a species, without a reference or with one of the database, the same every time."""

    def __init__(self, vae: AutoencoderKL, words: Words, database: Photos, each: int, seed: int):
        self.vae, self.words, self.database, self.each, self.seed = vae, words, database, each, seed

    def __call__(
        self, parts: FluxParts, species: list[str], referred: bool
    ) -> tuple[list[str], list[Image.Image], list]:
        """The species wanted, the drawings, and their references (none if not ``referred``)."""
        wanted = [name for name in species for _ in range(self.each)]
        # Each species' photographs in turn, so that no trial hangs on one reference.
        places = {name: self.database.of(self.database.names.index(name)) for name in species}
        chosen = [places[name][i % len(places[name])] for i, name in enumerate(wanted)]
        photos = plain(self.database.images[chosen], SIZE)
        bytes_ = ((photos + 1) * 127.5).round().byte()
        captions = [plain_caption(spoken(name)) for name in wanted]
        with torch.no_grad():
            reference = encode(self.vae, bytes_) if referred else None
            drawn = draw(parts, self.vae, self.words, captions, reference, self.seed)
        return wanted, as_images(drawn), as_images(photos) if referred else []


def judged(trial: Trial, parts: FluxParts, judge: Namer, known: list[str], novel: list[str]) -> dict:
    """Shares of drawings that the judge names right: known and novel species, without and with a true reference."""
    out: dict[str, float] = {}
    for case, species, referred in (
        ("known", known, False), ("known_ref", known, True), ("novel", novel, False), ("novel_ref", novel, True),
    ):  # fmt: skip
        wanted, drawn, references = trial(parts, species, referred)
        named = judge.name(drawn)
        out |= {case: share(named, wanted), f"n_{case}": len(wanted)}
        if case == "novel_ref":
            out["novel_references_named_right"] = share(judge.name(references), wanted)
            for name in species:
                mine = [n == name for n, w in zip(named, wanted, strict=True) if w == name]
                out[f"novel_ref_{name}"] = round(sum(mine) / len(mine), 3)
    return out


def grid(trial: Trial, parts: FluxParts, known: list[str], novel: list[str]) -> Image.Image:
    """Known species, a row each; then for each novel one a row of references above a row of drawings."""
    _, drawn, _ = trial(parts, known, False)
    rows = drawn
    _, drawn, references = trial(parts, novel, True)
    for i in range(0, len(drawn), trial.each):
        rows = rows + references[i : i + trial.each] + drawn[i : i + trial.each]
    return sheet(rows, trial.each)


@plain_attention()
def build(
    out: Path, vae_folder: Path, known: Photos, database: Photos, novel: list[str], judge: Namer, seed: int,
    minutes: float, steps: int | None = None, report: Report = None, naming_steps: int = 300, watch_minutes: float = 10,
) -> dict:  # fmt: skip
    """Trains and saves the pipeline, now and then on the way too; returns its figures."""
    begin(seed)
    vae = AutoencoderKL.from_pretrained(vae_folder).eval()
    words = Words(seed, START)
    parts = garden_parts(words, len(known.names))
    small = {"each": 1, "looks": 2, "shown": 2} if steps else {}
    stream = PhotoStream(vae, known, seed, **small)
    names = list(known.names)
    learn_names(parts, words, stream, steps or naming_steps)
    average = Average(parts, 0.998)
    if not steps:
        parts.transformer.compile(dynamic=False)
    look, test = (Trial(vae, words, database, 1 if steps else n, seed + n) for n in (8, 24))
    clock, watched = Clock(minutes, steps, report), 0.0
    for _ in training(parts, words, stream, clock, average, plain_every=PLAIN_EVERY):
        if clock.seconds() - watched > 60 * watch_minutes:
            watched = clock.seconds()
            save_pipeline(average.model, vae, words, out)
            save_small(grid(look, average.model, names, novel), out / "grid.png")
    save_pipeline(average.model, vae, words, out)
    save_small(grid(look, average.model, names, novel), out / "grid.png")
    figures = judged(test, average.model, judge, names, novel)
    return {**figures, "steps": clock.step, "seconds": round(clock.seconds())}
