"""The step `train`: fit a trainer on what earlier steps made."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le

from realism.base.errors import RealismError
from realism.base.files import atomic_folder
from realism.data.artifacts import Artifact, Curves, PromptTable, Snapshots, Weights
from realism.data.types import Prompt, Request, request_seed
from realism.parts import Generator, Trainer
from realism.parts.returned import require
from realism.parts.step import Artifacts, Step
from realism.parts.trainer import trained_parts
from realism.parts.work import Work
from realism.steps.train_trackers import Tracker, trackers_error, tracking

if TYPE_CHECKING:
    from lightning import LightningModule
    from lightning.pytorch.callbacks import Callback


@dataclass(frozen=True)
class SnapshotOptions:
    """Pictures that a generator draws while it is fitted: before the first optimiser step, now and then, and after the
    last. Noise is that of `generate`, so the last are what `generate` draws of these prompts after the step."""

    every: Annotated[int, Ge(0), Le(10_000_000)] = 0
    """After how many optimiser steps it draws; 0 draws nothing at all."""
    prompts: Annotated[int, Ge(1), Le(1000)] = 4
    """How many of the recipe's prompts it draws: the first so many, one picture each."""


@dataclass
class Train(Step):
    """Fit a trainer with Lightning; a killed fit goes on from its last checkpoint.

    What the fit logs is kept as curves: the loss, the learning rate, the norm of the gradient before it is clipped, and
    all else that the trainer's module logs.
    """

    trainer: Trainer
    """What learns. Options of the trainer may be written here: {trainer: lora, steps: 2500}."""
    snapshots: SnapshotOptions = field(default_factory=SnapshotOptions)
    """Pictures of fixed prompts while a generator is fitted, such as {every: 500}. The fit is the same without."""
    devices: Annotated[int, Ge(1), Le(64)] = 1
    """How many GPUs of this machine fit it together, or processes where there is no GPU. Each takes its rows of every
    batch, so a batch is as large as without, and what is learnt the same to about 1e-5."""

    trackers: list[Tracker] = field(default_factory=list)
    """Trackers that are given the curves as well, by Lightning: what they write lies below `trackers` in the run's
    folder. None of them sends anything, unless `--allow WANDB_API_KEY@ORIGIN` lets wandb do so."""

    speed_options = ("devices", "trackers")  # neither decides what is learnt, to rounding

    def title(self) -> str:
        return f"train {', '.join(self._names)}"

    @property
    def _names(self) -> list[str]:
        """What the recipe calls the parts that are trained; curves and snapshots belong to the first."""
        return [part.part_name for part in trained_parts(self.trainer).values()]

    @property
    def _generator(self) -> Generator | None:
        """What draws the snapshots: the first generator that is trained."""
        return next((part for part in trained_parts(self.trainer).values() if isinstance(part, Generator)), None)

    def _fit(self, available: Artifacts) -> tuple[Curves, Snapshots]:
        """What tells of the fit."""
        name = self._names[0]
        number = 1 + len(Curves.among(available, name))
        return Curves(name, number), Snapshots(name, number)

    def options_error(self) -> str | None:
        if self.snapshots.every and self._generator is None:
            return f"snapshots: '{self._names[0]}' is no generator, so it has nothing to draw; leave 'snapshots' out"
        return trackers_error(self.trackers)

    def conflicts(self, available: Artifacts) -> list[str]:
        return self.trainer.conflicts(available)

    def reads(self, available: Artifacts) -> Sequence[Artifact]:
        return [*self.trainer.reads(available), *([PromptTable()] if self.snapshots.every else [])]

    def writes(self, available: Artifacts) -> list[Artifact]:
        curves, snapshots = self._fit(available)
        return [*map(Weights, self._names), curves, *([snapshots] if self.snapshots.every else [])]

    def run(self, work: Work) -> None:
        from realism.steps.train_curves import CurveRecorder
        from realism.steps.train_fit import fit
        from realism.steps.train_processes import fit_in_processes

        curves, target = CurveRecorder(work.note), self._fit(work.state)[0]
        callbacks = [curves, *self._drawers(work)]
        with tracking(self.trackers, work) as loggers:
            fitted = partial(fit, self.trainer, work, callbacks, loggers=[curves, *loggers])
            if self.devices == 1:
                module = fitted(group=contextlib.nullcontext({"devices": 1}))
            else:
                module = fit_in_processes(self.trainer, work, self.devices, lambda group: fitted(group=group))
        work.write(target, curves.rows())
        with atomic_folder(work.folder / "weights") as folder:
            self._save(module, folder)

    def _drawers(self, work: Work) -> list[Callback]:
        from realism.steps.train_snapshots import SnapshotDrawer

        if not self.snapshots.every or self._generator is None:
            return []
        rows = itertools.islice(work.read(PromptTable()), self.snapshots.prompts)
        prompts = [Prompt(**vars(row)) for row in rows]
        requests = [Request(prompt, request_seed(work.seed, prompt.id, 0)) for prompt in prompts]
        target = self._fit(work.state)[1]
        return [SnapshotDrawer(self.trainer, self._generator, requests, self.snapshots.every, work, target)]

    def _save(self, module: LightningModule, folder: Path) -> None:
        """Write what was learnt: a folder for each part that was trained, called as the last part of its place."""
        saved = folder / ".saved"
        for name in trained_parts(self.trainer):
            (saved / name).mkdir(parents=True, exist_ok=True)
        self.trainer.save(module, saved)
        for name, part in trained_parts(self.trainer).items():
            wrote = any((saved / name).iterdir())
            require(self.trainer, None if wrote else f"save wrote nothing{'' if name == '.' else f' for {name}'}")
            self._check_finite(saved / name, part.part_name)
            (saved / name).rename(folder / PurePosixPath(Weights(part.part_name).place).name)
        shutil.rmtree(saved, ignore_errors=True)

    def _check_finite(self, folder: Path, name: str) -> None:
        """Raises RealismError if the fit has ended in numbers that are none."""
        from realism.base.loading import not_finite_in

        for file in sorted(folder.glob("*.safetensors")):
            if tensor := not_finite_in(file):
                raise RealismError(
                    f"{self.title()}: the fit of '{name}' diverged: {tensor} is not finite; lower the learning rate of "
                    f"'{self.trainer.part_name}', or clip its gradients"
                )
