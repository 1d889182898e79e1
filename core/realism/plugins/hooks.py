"""The hooks that a plugin may implement.

A plugin is a module (or object) named by an entry point of the group `realism`. It marks functions with `@hook`; each
may take any of the arguments shown here, by name, and leave out those it does not need.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from PIL import Image

    from realism.data.types import Prompt
    from realism.parts.work import RunInfo
    from realism.plugins.registry import Registry

hook = pluggy.HookimplMarker("realism")
spec = pluggy.HookspecMarker("realism")


@spec
def realism_register(registry: Registry) -> None:
    """Add parts, steps, models, recipes and commands, each by name and import path, so that nothing heavy loads."""


@spec
def realism_run_start(run: RunInfo) -> None:
    """A run is about to start or go on: `run.folder` is locked, `run.data` is a recipe that was checked."""


@spec
def realism_run_end(run: RunInfo, error: BaseException | None) -> None:
    """A run has ended; error is what stopped it, None when it came to its end."""


@spec
def realism_step_start(run: RunInfo, step: str, folder: str) -> None:
    """A step that is not yet done is about to start or go on. step is its title (`generate none`), folder is where it
    writes."""


@spec
def realism_step_end(run: RunInfo, step: str, folder: str, kept: bool) -> None:
    """A step is done; kept says that an earlier run had done it already."""


@spec
def realism_images_made(
    run: RunInfo, step: str, images: Sequence[Image.Image], prompts: Sequence[Prompt]
) -> list[str | None] | None:
    """Images were made. Return for each a reason to skip it, or None to keep it; return None to keep all."""


@spec
def realism_scores_given(
    run: RunInfo, step: str, arm: str, reward: str, ids: Sequence[str], values: Sequence[float]
) -> None:
    """A reward has given values (float) to samples of one arm, of these ids; for one of several values, reward is
    `critic.plausibility`. A killed and resumed step tells a shard that was not yet written once more."""


@spec
def realism_error(run: RunInfo, error: BaseException) -> None:
    """Something stopped the run. The error is shown to the user after this."""
