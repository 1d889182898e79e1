"""One fit by Lightning, in one process of it or in each of several."""

from __future__ import annotations

import logging
import os
import warnings
import zipfile
from collections.abc import Iterable, Sequence, Sized
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, LambdaCallback, ModelCheckpoint
from lightning.pytorch.loggers.logger import Logger

from realism.parts import Trainer
from realism.parts.returned import require, value_type
from realism.parts.work import Work
from realism.steps.train_data import resumable

OURS = {
    "callbacks", "default_root_dir", "devices", "enable_model_summary", "enable_progress_bar", "log_every_n_steps",
    "logger", "max_epochs", "max_steps", "num_nodes", "use_distributed_sampler",
}  # fmt: skip
"""Arguments of lightning.Trainer that the step `train` sets; what a trainer may give are others."""
HINT = "; callbacks of its own come from 'configure_callbacks' of its module"

warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated")  # Lightning's own call
warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")  # a killed fit goes on from it
warnings.filterwarnings("ignore", "You are using a CUDA device .* that has Tensor Cores")


def fit(
    trainer: Trainer,
    work: Work,
    callbacks: Sequence[Callback],
    *,
    loggers: Sequence[Logger] = (),
    group: AbstractContextManager[dict[str, Any]],
) -> lightning.LightningModule:
    """Fit a trainer's module and return it, from the last checkpoint in `work.folder` if there is one.

    group: joins the processes of the fit once module and data are made, and gives what Lightning is to know of them.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # it greets; the run has a bar and a log
    lightning.seed_everything(work.seed, verbose=False)
    os.environ.pop("PL_GLOBAL_SEED", None)  # by which Lightning would seed a second time where there are processes
    module, data = trainer.module(), trainer.data(work)
    require(trainer, _fit_error(module, data) or _options_error(trainer.fit_options()))
    data = resumable(data)
    last = work.folder / "checkpoints" / "last.ckpt"
    goes_on = zipfile.is_zipfile(last)
    if last.exists() and not goes_on:
        work.warn(f"{work.title}: the checkpoint '{last}' is damaged; the fit begins anew")
    steps, by_epoch = trainer.length(len(data)), trainer.checkpoint_every is None
    require(trainer, _length_error(steps, len(data) if by_epoch else 1))
    with group as processes:
        lightning.Trainer(
            max_steps=-1 if by_epoch else steps,  # with both given, a resumed fit would count its epochs wrongly
            max_epochs=steps // len(data) if by_epoch else -1,
            callbacks=[*callbacks, _moved_bar(work, steps), _checkpoints(last.parent, trainer.checkpoint_every)],
            default_root_dir=work.folder,
            logger=list(loggers),
            log_every_n_steps=1,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,  # each process is given whole batches, of which the module takes its rows
            **{**trainer.fit_options(), **processes},
        ).fit(module, data, ckpt_path=str(last) if goes_on else None, weights_only=True)
    return module


def _fit_error(module: Any, data: Any) -> str | None:
    """One sentence unless Lightning can fit the module on the data."""
    if not isinstance(module, lightning.LightningModule):
        return f"module gave {value_type(module)}, not a LightningModule"
    if not isinstance(data, Sized) or not isinstance(data, Iterable):
        return f"data gave {value_type(data)}, not a DataLoader of known length"
    return None if len(data) else "data gave a DataLoader without a batch"


def _options_error(options: Any) -> str | None:
    taken = sorted({*options} & OURS)
    hint = HINT if "callbacks" in taken else ""
    return f"fit_options gave {', '.join(taken)}, which the step sets{hint}" if taken else None


def _length_error(steps: Any, least: int) -> str | None:
    if not isinstance(steps, int) or isinstance(steps, bool):
        return f"length gave {value_type(steps)}, not a number of steps"
    return None if steps >= least else f"length gave {steps}, not {least} steps or more"


def _checkpoints(folder: Path, every: int | None) -> ModelCheckpoint:
    when: dict[str, Any] = {"every_n_train_steps": every} if every else {"every_n_epochs": 1}
    return ModelCheckpoint(dirpath=folder, save_last=True, **when)


def _moved_bar(work: Work, steps: int) -> Callback:
    """Moves the run's own bar with every optimiser step."""
    seen = [0]

    def start(trainer: Any, module: Any) -> None:
        work.expect(steps)
        seen[0] = trainer.global_step
        work.advance(seen[0], kept=True)

    def step(trainer: Any, *_: Any) -> None:
        work.advance(trainer.global_step - seen[0])
        seen[0] = trainer.global_step

    return LambdaCallback(on_train_start=start, on_train_batch_end=step)
