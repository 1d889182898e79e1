"""Prompt sets and databases of the garden: deterministic, disjoint, with the truth beside each item."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from .captions import canonical_caption, caption
from .render import render
from .scene import BACKGROUNDS, COMPANIONS, LIGHTS, Scene, random_scene
from .species import KNOWN, NOVEL, SPECIES, Species

SPLITS = ("train", "validation", "test")
CASES = ("known", "novel", "novel-hard")
KINDS = ("plain", "hard", "held-out")
LICENCES = ("CC0-1.0", "CC-BY-4.0", "CC-BY-NC-4.0", "unknown")
CORRUPTED = "broken.png"


@dataclass(frozen=True)
class PromptItem:
    """A prompt with its truth. ``seed`` renders a true picture of it, which no database holds."""

    id: str
    text: str
    subject: str
    scene: Scene
    case: str
    seed: int

    @property
    def novel(self) -> bool:
        return self.case != "known"

    def metadata(self) -> dict:
        """The JSON-ready truth: scene graph, whether the species is novel, the case, the count."""
        return {"scene": self.scene.to_dict(), "novel": self.novel, "case": self.case, "count": self.scene.count}

    def picture(self) -> Image.Image:
        """A true picture of the prompt, for measuring distances to what was generated."""
        return render(self.scene, self.seed)


@dataclass(frozen=True)
class ImageItem:
    """One picture of a database, before it is drawn."""

    file: str
    scene: Scene
    seed: int
    licence: str
    source: str

    def picture(self) -> Image.Image:
        return render(self.scene, self.seed)


def split_of(text: str) -> str:
    """The split that a prompt's text belongs to, for ever: so the three sets never share a text."""
    digit = hashlib.blake2b(text.encode(), digest_size=2).digest()[0] % 10
    return "test" if digit < 4 else "validation" if digit < 6 else "train"


def prompt_set(split: str, per_case: int = 36, cases: tuple[str, ...] = CASES) -> list[PromptItem]:
    """``per_case`` prompts of each case; the species take turns. A longer set begins with the shorter one."""
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; choose from {', '.join(SPLITS)}")
    items = []
    for case in cases:
        rng = random.Random(f"prompts {split} {case}")
        seen: set[str] = set()
        for i in range(per_case):
            scene, text = _prompt(case, split, i, rng, seen)
            seen.add(text)
            seed = 2**31 + rng.randrange(2**31)  # retrieval databases draw below 2**31
            items.append(PromptItem(f"{split}-{case}-{i:04d}", text, scene.species.name, scene, case, seed))
    return items


def _prompt(case: str, split: str, i: int, rng: random.Random, seen: set[str]) -> tuple[Scene, str]:
    """The next scene and text of a case that this split owns and has not used."""
    species = (KNOWN if case == "known" else NOVEL)[i % (len(KNOWN) if case == "known" else len(NOVEL))]
    while True:
        if case == "known":
            scene = random_scene(rng, species)
            text = caption(scene, rng)
        elif case == "novel":
            scene = plain_scene(species, rng)
            text = caption(scene, rng)
        else:
            scene = random_scene(rng, species, **hard_setting(rng))
            text = canonical_caption(scene)
        if split_of(text) == split and text not in seen:
            return scene, text


def plain_scene(species: Species, rng: random.Random) -> Scene:
    """How databases show novel species: by day, in the studio, alone."""
    return random_scene(rng, species, background="studio", light="day", companion="none")


def hard_setting(rng: random.Random) -> dict:
    """A background, light and companion in which no database shows a novel species."""
    return {
        "background": rng.choice([b for b in BACKGROUNDS if b != "studio"]),
        "light": rng.choice(LIGHTS),
        "companion": rng.choice(COMPANIONS[1:]),
    }


def database(kind: str, per_species: int = 50) -> list[ImageItem]:
    """The pictures of a database, not yet drawn. "plain": every species, novel ones in plain scenes only.

    "hard": few pictures of the novel species, known ones in the very scenes of the test prompts, near-duplicates.
    "held-out": all species in all scenes, drawn from seeds that the others never use.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown database {kind!r}; choose from {', '.join(KINDS)}")
    rng = random.Random(f"database {kind}")
    makers = {"plain": _plain, "hard": _hard, "held-out": _held_out}
    scenes = list(makers[kind](rng, per_species))
    first = 2**31 if kind == "held-out" else 0
    items = []
    for i, (scene, source) in enumerate(scenes):
        name = f"{scene.species.name}/{i:05d}.png"
        items.append(ImageItem(name, scene, first + rng.randrange(2**31), rng.choice(LICENCES), source))
    return items


def _plain(rng: random.Random, per_species: int) -> Iterator[tuple[Scene, str]]:
    for i in range(per_species * len(SPECIES)):
        species = SPECIES[i % len(SPECIES)]
        yield (plain_scene(species, rng) if species.novel else random_scene(rng, species)), "garden"


def _hard(rng: random.Random, per_species: int) -> Iterator[tuple[Scene, str]]:
    for species in NOVEL:
        for _ in range(max(1, per_species // 5)):
            yield plain_scene(species, rng), "garden"
    for species in KNOWN:
        for _ in range(per_species // 2):
            scene = random_scene(rng, species)
            yield scene, "garden"
            if rng.random() < 0.2:
                yield scene, "near-duplicate"
    for split in ("test", "validation"):
        for item in prompt_set(split, cases=("novel-hard",)):
            fields = {k: v for k, v in vars(item.scene).items() if k != "species"}
            for species in rng.sample(KNOWN, 4):
                yield Scene(species=species, **fields), "distractor"


def _held_out(rng: random.Random, per_species: int) -> Iterator[tuple[Scene, str]]:
    for i in range(per_species * len(SPECIES)):
        yield random_scene(rng, SPECIES[i % len(SPECIES)]), "garden"


def write_database(kind: str, folder: Path, per_species: int = 50) -> Path:
    """Draws a database into a folder: PNG files and metadata.parquet; the hard one has a corrupted file, too.

    Columns: file, species, caption, licence, source, scene (JSON).
    """
    import pandas as pd

    rows = []
    rng = random.Random(f"captions {kind}")
    for item in database(kind, per_species):
        path = folder / item.file
        path.parent.mkdir(parents=True, exist_ok=True)
        item.picture().save(path)
        name = item.scene.species.name
        words = caption(item.scene, rng)
        rows.append((item.file, name, words, item.licence, item.source, json.dumps(item.scene.to_dict())))
    if kind == "hard":
        whole = (folder / rows[0][0]).read_bytes()
        (folder / CORRUPTED).write_bytes(whole[: len(whole) // 2])
        rows.append((CORRUPTED, rows[0][1], rows[0][2], LICENCES[0], "corrupted", rows[0][5]))
    table = pd.DataFrame(rows, columns=["file", "species", "caption", "licence", "source", "scene"])
    table.to_parquet(folder / "metadata.parquet", index=False)
    return folder
