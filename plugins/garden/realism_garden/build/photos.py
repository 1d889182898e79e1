"""Builds all three miniatures on photographs, stage by stage; a stage that is finished is kept.

The folder has train/ and test/, each with a sub-folder a species. test/ is only measured on. Of train/, the shares
[0, 0.5) and [0.5, 1) by `image_folder`'s hash are what clip learns from and the database.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from realism.base.errors import RealismError

from .cards import write_card
from .common import Report
from .photos_clip import CLIP, JUDGE, Namer, Plan, accuracy, precision
from .photos_clip import build as build_clip
from .photos_data import Photos, read_photos

SPLIT = 0.5
SHARES = {"clip": 0.1, "judge": 0.12, "autoencoder": 0.13, "flux": 0.65}
ABOUT = {
    "clip": (
        "An OpenCLIP dual encoder of photographs, gone on from garden/clip; it is the retriever's.",
        "It learnt from the share [0, 0.5) of the training photographs of all species; the share [0.5, 1), the "
        "database, and the test photographs it has not seen.",
    ),
    "judge": (
        "An OpenCLIP dual encoder of another architecture (a ResNet) and seed than clip; for evaluation only.",
        "It learnt from all training photographs; its figures are on test photographs. Train nothing on it.",
    ),
    "autoencoder": ("The autoencoder of flux, gone on from the garden's, on photographs of the known species.",),
    "flux": (
        "A FluxKontextPipeline that draws 64 × 64 pictures of the known species and copies the look of a reference.",
        "Figures are shares of drawings that the judge names right, with true references of the database share.",
        "Call it with height=64, width=64, max_sequence_length=32, num_inference_steps=12, true_cfg_scale=2.5 and "
        'negative_prompt="", and with max_area=64*64, _auto_resize=False when there is a reference image.',
    ),
}


def species_of(folder: Path, novel: list[str]) -> tuple[list[str], list[str]]:
    """The known and the novel species of a photograph folder; RealismError if it is not laid out as needed."""
    for part in ("train", "test"):
        if not (folder / part).is_dir():
            raise RealismError(
                f"no folder '{folder / part}'; '{folder}' should have train/ and test/, a folder a species"
            )
    names = sorted(p.name for p in (folder / "train").iterdir() if p.is_dir() and not p.name.startswith("."))
    for name in novel:
        if name not in names:
            raise RealismError(f"no species '{name}' in '{folder / 'train'}'; available: {', '.join(names)}")
    known = [n for n in names if n not in novel]
    if len(known) < 2:
        raise RealismError(f"--novel leaves {len(known)} of {len(names)} species; the generator needs at least 2")
    return known, novel


def build_photos(
    folder: Path, out: Path, novel: list[str], seed: int, minutes: float, steps: int | None, say: Callable[[str], None]
) -> None:
    """Builds clip, judge, the autoencoder and flux into ``out``; ``say`` is told the progress in lines."""
    known, novel = species_of(folder, novel)
    train, test = folder / "train", read_photos(folder / "test")
    database = read_photos(train, (SPLIT, 1.0))
    for name in sorted({*known, *novel} - set(database.names)):
        raise RealismError(f"too few photographs of '{name}': none of them fell to the database share [{SPLIT}, 1)")

    def encoder(where: Path, plan: Plan, seen: Photos, time: float, report: Report) -> dict:
        spent = build_clip(where, seen, plan, seed, time, steps, report)
        namer = Namer(where, seen.names)
        figures = {"zero_shot_test": accuracy(namer, test), "n_test": len(test.paths)}
        if plan == CLIP:
            figures |= {"precision_at_1_database": precision(namer, database), "n_database": len(database.paths)}
        return {**figures, "n_train": len(seen.paths), **spent}

    def flux(where: Path, time: float, report: Report) -> dict:
        from .photos_flux import build

        judge = Namer(out / "judge", database.names)
        seen = read_photos(train, only=known)
        return build(where, out / "autoencoder", seen, database, novel, judge, seed, time, steps, report)

    def autoencoder(where: Path, time: float, report: Report) -> dict:
        from .photos_flux import build_autoencoder

        tests = {"known": read_photos(folder / "test", only=known)}
        if novel:
            tests["novel"] = read_photos(folder / "test", only=novel)
        return build_autoencoder(where, read_photos(train, only=known), tests, seed, time, steps, report)

    builders: dict[str, Callable[[Path, float, Report], dict]] = {
        "clip": lambda *a: encoder(a[0], CLIP, read_photos(train, (0.0, SPLIT)), *a[1:]),
        "judge": lambda *a: encoder(a[0], JUDGE, read_photos(train), *a[1:]),
        "autoencoder": autoencoder,
        "flux": flux,
    }
    for name, builder in builders.items():
        where = out / name
        if (where / "figures.json").exists():  # written last
            say(f"{name}: kept, as '{where}' is whole")
            continue
        figures = {"held_out": ", ".join(novel), **builder(where, minutes * SHARES[name], reporter(name, say))}
        about = (*ABOUT[name], f"Species: {', '.join(known)}. Held out of the generator: {', '.join(novel)}.")
        write_card(where, f"photos/{name}", seed, {"measured": figures}, about)
        say(f"{name}: {json.dumps(figures)}")


def reporter(name: str, say: Callable[[str], None], every: float = 20) -> Report:
    """A report that says the share done and the time left of a stage, every so many seconds."""
    begun = told = time.time()

    def report(share: float, step: int) -> None:
        nonlocal told
        if time.time() - told > every and share > 0:
            told = time.time()
            left = (told - begun) * (1 - share) / share / 60
            say(f"{name}: {share:.0%} after {step} steps, about {left:.0f} min left")

    return report
