"""Make text-to-image models more realistic: any method's piece with any other's, in one recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
    from realism.run.reading import OpenRun

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
]


def open_run(folder: str | Path, seed: int | None = None) -> OpenRun:
    """What a run has left in its folder, for notebooks and people: `open_run("runs/garden")["scores"].to_pandas()`.

    seed: which one of a run with several; the first, if None. Raises RealismError for what is not a run's folder.
    """
    from realism.base.files import user_path
    from realism.run.reading import OpenRun

    return OpenRun(user_path(str(folder)), seed)
