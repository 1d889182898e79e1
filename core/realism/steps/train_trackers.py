"""Trackers that are given the curves of a fit, by Lightning's own loggers. They write below the run's folder and send
nothing, unless the command line lets wandb do so."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from realism.base.permissions import allowed_place
from realism.parts.work import Work

if TYPE_CHECKING:
    from lightning.pytorch.loggers.logger import Logger

Tracker = Literal["tensorboard", "wandb", "mlflow"]
WANDB_KEY = "WANDB_API_KEY"


def trackers_error(names: Sequence[Tracker]) -> str | None:
    """One sentence if a tracker is not installed, or named twice."""
    lacking = next((name for name in names if not _is_installed(name)), None)
    if lacking:
        return f"trackers: '{lacking}' is not installed; pip install 'realism[{lacking}]', or leave it out"
    twice = next((name for name in names if names.count(name) > 1), None)
    return f"trackers: '{twice}' is named twice" if twice else None


def _is_installed(name: str) -> bool:
    """Whether there is a package of that name, and not only a folder, such as wandb leaves where it works."""
    found = find_spec(name)
    return found is not None and found.origin is not None


@contextmanager
def tracking(names: Sequence[Tracker], work: Work) -> Iterator[list[Logger]]:
    """Loggers that write below `trackers/NAME` in the run's folder, called as the step's own folder; at the end they
    are closed. A fit that is resumed goes on in the same place of tensorboard, and is a new run to the others."""
    made = {"tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow}
    loggers = []
    try:
        for name in names:
            (folder := work.root / "trackers" / name).mkdir(parents=True, exist_ok=True)
            loggers.append(made[name](folder, work))
        yield loggers
    finally:
        if "wandb" in names:
            import wandb

            wandb.finish()


def _tensorboard(folder: Path, work: Work) -> Logger:
    from lightning.pytorch.loggers import TensorBoardLogger

    return TensorBoardLogger(folder, name=work.folder.name, version="")


def _wandb(folder: Path, work: Work) -> Logger:
    os.environ["WANDB_ERROR_REPORTING"] = "false"  # read when wandb is imported
    import wandb
    from lightning.pytorch.loggers import WandbLogger

    place = allowed_place(WANDB_KEY)
    quiet = {"silent": True, "console": "off", "symlink": False, "disable_git": True, "disable_code": True}
    # neither facts of this machine nor questions to a cloud about it
    private = {"x_disable_meta": True, "x_disable_stats": True, "x_disable_machine_info": True}
    where = {"base_url": place, "mode": "online"} if place else {"mode": "offline"}
    settings = wandb.Settings(**quiet, **private, **where)
    logger = WandbLogger(
        work.folder.name, str(folder), offline=not place, project=work.run.name or "realism", settings=settings
    )
    assert logger.experiment is not None  # it begins now
    for path in folder.rglob("*"):
        if path.is_symlink():  # to a log of its own elsewhere; a run's folder with a link in it is refused
            path.unlink()
    return logger


def _mlflow(folder: Path, work: Work) -> Logger:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from lightning.pytorch.loggers import MLFlowLogger

    address = f"sqlite:///{folder / 'mlflow.db'}"
    return MLFlowLogger(work.run.name or "realism", work.folder.name, address, artifact_location=folder.as_uri())
