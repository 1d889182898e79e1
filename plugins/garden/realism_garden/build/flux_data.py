"""The training stream of the flux miniature: latents of known and random species, captions, references.

The six novel species are never in it: known ones are drawn by name, random ones keep two traits away from them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file

from ..captions import caption
from ..scene import Scene, random_scene
from ..species import KNOWN, invented_name, random_species
from .common import pictures, to_float


def pack(latents: torch.Tensor) -> torch.Tensor:
    """Latents [n, 4, 16, 16] to tokens [n, 64, 16], each a 2 × 2 patch, as the Flux pipelines order them."""
    n, c, h, w = latents.shape
    return latents.view(n, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(n, h * w // 4, c * 4)


def unpack(tokens: torch.Tensor, channels: int = 4) -> torch.Tensor:
    """The inverse of ``pack`` for square pictures."""
    n, t, _ = tokens.shape
    side = int(t**0.5)
    return tokens.view(n, side, side, channels, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(n, channels, 2 * side, 2 * side)


@torch.no_grad()
def encode(vae: AutoencoderKL, images: torch.Tensor) -> torch.Tensor:
    """uint8 pictures [n, 3, 64, 64] to scaled tokens [n, 64, 16], as the Kontext pipeline encodes references."""
    z = torch.cat([vae.encode(to_float(b)).latent_dist.mode() for b in images.split(64)])
    return pack((z - vae.config.shift_factor) * vae.config.scaling_factor)


@torch.no_grad()
def decode(vae: AutoencoderKL, tokens: torch.Tensor) -> torch.Tensor:
    """Scaled tokens to pictures in -1 to 1."""
    z = unpack(tokens) / vae.config.scaling_factor + vae.config.shift_factor
    return torch.cat([vae.decode(b).sample for b in z.split(64)]).clamp(-1, 1)


@dataclass
class LatentBatch:
    """One step's worth: captions, target tokens [n, 64, 16], reference tokens of the same shape or None.

    ``named`` [n] is the index of the known species that a caption names, their number (18) if it names none.
    """

    captions: list[str]
    target: torch.Tensor
    reference: torch.Tensor | None
    named: torch.Tensor


class LatentBatches(Protocol):
    """Where training batches come from."""

    def plain(self, n: int) -> LatentBatch:
        """n pictures without references."""

    def referred(self, n: int) -> LatentBatch:
        """n pictures, each with a reference."""


class Stream:
    """Batches with and without references from a pool of pictures rendered and encoded once."""

    def __init__(self, vae: AutoencoderKL, seed: int, known: int, other: int, cache: Path | None = None):
        self.rng = random.Random(f"flux stream {seed}")
        scenes = [random_scene(self.rng, KNOWN[i % len(KNOWN)]) for i in range(known)]
        while len(scenes) < known + other:  # eight scenes of each random look
            look = random_species(self.rng)
            scenes += [random_scene(self.rng, look) for _ in range(8)]
        self.scenes, self.known = scenes, known
        self.groups: dict[tuple, list[int]] = {}
        for i, scene in enumerate(scenes):
            self.groups.setdefault(scene.species.traits, []).append(i)
        self.tokens = self._encoded(vae, cache)

    def _encoded(self, vae: AutoencoderKL, cache: Path | None) -> torch.Tensor:
        seeds = [self.rng.randrange(2**31) for _ in self.scenes]
        if cache and cache.exists():
            return load_file(cache)["tokens"]
        parts = []
        for start in range(0, len(self.scenes), 2048):
            items = list(zip(self.scenes[start : start + 2048], seeds[start : start + 2048], strict=True))
            with torch.autocast("cpu", torch.bfloat16):
                parts.append(encode(vae, pictures(items)).half())
            print(f"pool {start + len(items)} / {len(self.scenes)}", flush=True)
        tokens = torch.cat(parts)
        if cache:
            save_file({"tokens": tokens}, cache)
        return tokens

    def _words(self, scene: Scene, name: str | None) -> str:
        if self.rng.random() < 0.1:
            return ""  # trains the unconditional half of classifier-free guidance
        return caption(replace(scene, species=replace(scene.species, name=name)) if name else scene, self.rng)

    def _named(self, words: list[str], picks: list[int]) -> torch.Tensor:
        known = [w != "" and i < self.known for w, i in zip(words, picks, strict=True)]
        return torch.tensor([i % len(KNOWN) if k else len(KNOWN) for i, k in zip(picks, known, strict=True)])

    def plain(self, n: int, unnamed: float = 0.12) -> LatentBatch:
        """Targets without a reference: known species, and a few random ones under invented names."""
        rng = self.rng
        picks = [
            rng.randrange(self.known, len(self.scenes)) if rng.random() < unnamed else rng.randrange(self.known)
            for _ in range(n)
        ]
        words = [self._words(self.scenes[i], invented_name(rng) if i >= self.known else None) for i in picks]
        return LatentBatch(words, self.tokens[picks].float(), None, self._named(words, picks))

    def referred(self, n: int, named: float = 0.25) -> LatentBatch:
        """Targets with a reference: another picture of the same species, most of them random species."""
        rng = self.rng
        picks, references, words = [], [], []
        for _ in range(n):
            i = rng.randrange(self.known) if rng.random() < named else rng.randrange(self.known, len(self.scenes))
            j = rng.choice(self.groups[self.scenes[i].species.traits])
            picks.append(i)
            references.append(j)
            words.append(self._words(self.scenes[i], invented_name(rng) if i >= self.known else None))
        return LatentBatch(
            words, self.tokens[picks].float(), self.tokens[references].float(), self._named(words, picks)
        )
