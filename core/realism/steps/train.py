"""The step `train`: fit a trainer on what earlier steps made."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from realism.base.files import atomic_folder
from realism.data.artifacts import Artifact, Curves, Weights
from realism.parts import Trainer
from realism.parts.returned import hold
from realism.parts.step import Artifacts, Step
from realism.parts.work import Work

if TYPE_CHECKING:
    from lightning import LightningModule


@dataclass
class Train(Step):
    """Fit a trainer with Lightning; a killed fit goes on from its last checkpoint.

    What the fit logs is kept as curves: the loss, the learning rate, the norm of the gradient before it is clipped, and
    all else that the trainer's module logs.
    """

    trainer: Trainer
    """What learns. Options of the trainer may be written here: {trainer: lora, steps: 2500}."""

    def title(self) -> str:
        return f"train {', '.join(self._names)}"

    @property
    def _names(self) -> list[str]:
        """What the recipe calls the parts that are trained; curves and snapshots belong to the first."""
        return [part.part_name for part in self.trainer.trained_parts.values()]

    def _curves(self, available: Artifacts) -> Curves:
        return Curves(self._names[0], 1 + len(Curves.among(available, self._names[0])))

    def conflicts(self, available: Artifacts) -> list[str]:
        return self.trainer.conflicts(available)

    def reads(self, available: Artifacts) -> Sequence[Artifact]:
        return self.trainer.reads(available)

    def writes(self, available: Artifacts) -> list[Artifact]:
        return [*map(Weights, self._names), self._curves(available)]

    def run(self, work: Work) -> None:
        from realism.steps.train_curves import CurveRecorder
        from realism.steps.train_fit import fit

        curves = CurveRecorder(work.note)
        one = contextlib.nullcontext({"devices": 1})
        module = fit(self.trainer, work, [curves], loggers=[curves], group=one)
        work.write(self._curves(work.state), curves.rows())
        with atomic_folder(work.folder / "weights") as folder:
            self._save(module, folder)

    def _save(self, module: LightningModule, folder: Path) -> None:
        """Write what was learnt: a folder for each part that was trained, called as the last part of its place."""
        saved = folder / ".saved"
        for name in self.trainer.trained_parts:
            (saved / name).mkdir(parents=True, exist_ok=True)
        self.trainer.save(module, saved)
        for name, part in self.trainer.trained_parts.items():
            wrote = any((saved / name).iterdir())
            hold(self.trainer, None if wrote else f"save wrote nothing{'' if name == '.' else f' for {name}'}")
            (saved / name).rename(folder / PurePosixPath(Weights(part.part_name).place).name)
        shutil.rmtree(saved, ignore_errors=True)
