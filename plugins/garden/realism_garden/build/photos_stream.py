"""The training stream of the flux miniature of photographs: views of the known species, and invented looks to copy.

A look is a species under one change of colour and an invented name, in several photographs and two views of each: so
the generator learns to take a look from a reference, also when it has no name for it. Novel species are never in it.
"""

from __future__ import annotations

import random

import torch
from diffusers import AutoencoderKL

from ..species import invented_name
from .flux_data import LatentBatch, encode
from .photos_data import Photos, colours, recoloured, say, views

SIZE = 64


class PhotoStream:
    """Batches with and without references from views that are made and encoded once."""

    def __init__(self, vae: AutoencoderKL, photos: Photos, seed: int, each: int = 12, looks: int = 32, shown: int = 16):
        """``each`` views of each photograph; ``looks`` of each species, in ``shown`` photographs each."""
        self.rng = random.Random(f"photo stream {seed}")
        self.names, self.shown = photos.names, shown
        self.picks = list(range(len(photos.images))) * each
        self.species = photos.species[self.picks].tolist()
        self.views_of = [[i for i, s in enumerate(self.species) if s == k] for k in range(len(photos.names))]
        self.tokens = torch.cat([self._encoded(vae, photos, p) for p in _chunks(self.picks, 512)])
        groups = [self._look(vae, photos, k, look) for k in range(len(photos.names)) for look in range(looks)]
        self.looks = torch.stack(groups)  # [species · looks, 2 · shown, 64, 16]
        print(f"pool {len(self.tokens)} views, {len(groups)} looks of {2 * shown} views", flush=True)

    def _encoded(self, vae: AutoencoderKL, photos: Photos, picks: list[int], hue: float | None = None) -> torch.Tensor:
        """Tokens [n, 64, 16] of new views; with ``hue``, all of one random change of colour."""
        x = views(photos.images[picks], SIZE)
        x = recoloured(x, colours(len(picks), 0.05, 0.1, 0.05) if hue is None else colours(1, hue, 0.4, 0.15))
        with torch.autocast("cpu", torch.bfloat16):
            return encode(vae, ((x + 1) * 127.5).round().clamp(0, 255).byte()).half()

    def _look(self, vae: AutoencoderKL, photos: Photos, species: int, look: int) -> torch.Tensor:
        """Tokens of one look, the two views of a photograph side by side; every other look has natural colours."""
        chosen = self.rng.choices(photos.of(species), k=self.shown)
        return self._encoded(vae, photos, [i for i in chosen for _ in range(2)], hue=3.1416 if look % 2 else 0.1)

    def _words(self, name: str) -> str:
        # No words now and then trains the unconditional half of classifier-free guidance.
        return "" if self.rng.random() < 0.1 else say(name, self.rng)

    def _batch(
        self, picked: list[tuple[int | None, str]], target: torch.Tensor, reference: torch.Tensor | None
    ) -> LatentBatch:
        named = [len(self.names) if k is None or not words else k for k, words in picked]
        return LatentBatch([w for _, w in picked], target.float(), reference, torch.tensor(named))

    def plain(self, n: int, unnamed: float = 0.1) -> LatentBatch:
        """Targets without a reference: known species, a few under invented names."""
        rng = self.rng
        places = [rng.randrange(len(self.picks)) for _ in range(n)]
        known = [None if rng.random() < unnamed else self.species[i] for i in places]
        picked = [(k, self._words(invented_name(rng) if k is None else self.names[k])) for k in known]
        return self._batch(picked, self.tokens[places], None)

    def referred(self, n: int, named: float = 0.2, same: float = 0.5) -> LatentBatch:
        """Targets with a reference: a share ``named`` another view of the known species, the rest of an invented look.

        Of the looks, a share ``same`` has the other view of the very photograph as reference.
        """
        rng = self.rng
        picked: list[tuple[int | None, str]] = []
        pairs: list[tuple[torch.Tensor, torch.Tensor]] = []
        for _ in range(n):
            if rng.random() < named:
                i = rng.randrange(len(self.picks))
                k = self.species[i]
                picked.append((k, self._words(self.names[k])))
                pairs.append((self.tokens[i], self.tokens[rng.choice(self.views_of[k])]))
            else:
                look, i = rng.choice(self.looks), rng.randrange(2 * self.shown)
                j = i ^ 1 if rng.random() < same else rng.randrange(2 * self.shown)
                picked.append((None, self._words(invented_name(rng))))
                pairs.append((look[i], look[j]))
        targets, references = zip(*pairs, strict=True)
        return self._batch(picked, torch.stack(targets), torch.stack(references).float())


def _chunks(items: list[int], size: int) -> list[list[int]]:
    return [items[i : i + size] for i in range(0, len(items), size)]
