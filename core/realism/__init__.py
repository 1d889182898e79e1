"""Make text-to-image models more realistic: any method's piece with any other's, in one recipe."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realism.base.errors import RealismError
from realism.base.files import atomic_write
from realism.base.tables import Row
from realism.data import artifacts, rows
from realism.data.artifacts import Artifact
from realism.data.types import Hit, Picture, Prompt, Record, Request, Unmade
from realism.parts import (
    Chat,
    Composite,
    DifferentiableReward,
    Generator,
    ImageEncoder,
    Images,
    Index,
    LanguageModel,
    Output,
    Part,
    PixelEncoder,
    Projection,
    Prompts,
    Retriever,
    Reward,
    Scores,
    SetMetric,
    Step,
    Trainer,
    Tunable,
)
from realism.parts.step import samples_of
from realism.parts.work import Table, Work
from realism.plugins.hooks import hook

if TYPE_CHECKING:
    from realism.base.cut_texts import note_texts
    from realism.base.images import read_image, write_images
    from realism.base.loading import load_model, load_without_weights, read_tensors
    from realism.base.openclip import load_openclip
    from realism.notebook.handles import Handle
    from realism.notebook.running import ShownRun

__all__ = [
    "Artifact",
    "Chat",
    "Composite",
    "DifferentiableReward",
    "Generator",
    "Hit",
    "ImageEncoder",
    "Images",
    "Index",
    "LanguageModel",
    "Output",
    "Part",
    "Picture",
    "PixelEncoder",
    "Projection",
    "Prompt",
    "Prompts",
    "RealismError",
    "Record",
    "Request",
    "Retriever",
    "Reward",
    "Row",
    "Scores",
    "SetMetric",
    "Step",
    "Table",
    "Trainer",
    "Tunable",
    "Unmade",
    "Work",
    "artifacts",
    "atomic_write",
    "hook",
    "load_model",
    "load_openclip",
    "load_without_weights",
    "note_texts",
    "open_run",
    "part",
    "read_image",
    "read_tensors",
    "rows",
    "run",
    "samples_of",
    "write_images",
]
AT_FIRST_USE = {
    "load_openclip": "realism.base.openclip",
    "load_without_weights": "realism.base.loading",
    "load_model": "realism.base.loading",
    "note_texts": "realism.base.cut_texts",
    "read_image": "realism.base.images",
    "read_tensors": "realism.base.loading",
    "write_images": "realism.base.images",
}
"""What is imported when it is first asked for, and from where, so that `import realism` stays quick."""


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name not in AT_FIRST_USE:
        raise AttributeError(f"module 'realism' has no attribute '{name}'")
    return getattr(importlib.import_module(AT_FIRST_USE[name]), name)


def open_run(folder: str | Path, seed: int | None = None) -> ShownRun:
    """What a run has left in its folder, for notebooks and people: `open_run("runs/garden")["scores"].to_pandas()`.

    seed: which one of a run with several; the first, if None. Raises RealismError for what is not a run's folder.
    """
    from realism.base.files import user_path
    from realism.notebook.running import ShownRun

    return ShownRun(user_path(str(folder)), seed)


def part(name: str, **options: Any) -> Handle:
    """A registered part, to be used with plain texts, images, paths and arrays: `part("pickscore").score(images,
    "a red rose").values`, `part("flux-kontext", model="garden/flux", size=64).draw("a red rose", seed=0)`.

    options: as in a recipe. Raises RealismError, in the sentences of a recipe, with all that is wrong.
    """
    from realism.notebook.handles import part

    return part(name, **options)


def run(recipe: str | Path, *overrides: str, **settings: Any) -> ShownRun:
    """Run a recipe, or resume it, and open the run: `realism.run("garden.yaml", seed=1)["scores"].to_pandas()`.

    recipe: a file, or a name in `realism recipes`. overrides: as on the command line, "generator.steps=8"; settings:
    the same for keys without dots, with values of Python. Of these, `out` is the run's folder (by default that of the
    command line) and `quiet=True` prints nothing. Raises RealismError for what the user can mend.
    """
    from realism.notebook.running import run

    return run(recipe, *overrides, **settings)
