"""Make text-to-image models more realistic: any method's piece with any other's, in one recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from realism.base.errors import RealismError
from realism.data import artifacts
from realism.data.types import Hit, Picture, Prompt, Record, Request, Unmade
from realism.parts import (
    Chat,
    Composite,
    DifferentiableReward,
    Generator,
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
from realism.parts.work import Work
from realism.plugins.hooks import hook

if TYPE_CHECKING:
    from realism.notebook.handles import Handle
    from realism.notebook.running import ShownRun

__all__ = [
    "Chat",
    "Composite",
    "DifferentiableReward",
    "Generator",
    "Hit",
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
    "Scores",
    "SetMetric",
    "Step",
    "Trainer",
    "Tunable",
    "Unmade",
    "Work",
    "artifacts",
    "hook",
    "open_run",
    "part",
    "run",
]


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
