"""The step `train`: fit a trainer on what earlier steps made."""

from __future__ import annotations

import logging
import warnings
import zipfile
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realism.base.files import atomic_folder
from realism.data.artifacts import Artifact, Weights
from realism.parts import Trainer
from realism.parts.returned import require, value_type
from realism.parts.step import Artifacts, Step
from realism.parts.work import Work

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback, ModelCheckpoint

warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated")  # Lightning's own call
warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")  # a killed fit goes on from it


@dataclass
class Train(Step):
    """Fit a trainer with Lightning; a killed fit goes on from its last checkpoint."""

    trainer: Trainer
    """What learns. Options of the trainer may be written here: {trainer: lora, steps: 2500}."""

    def title(self) -> str:
        return f"train {self.trainer.trains.part_name}"

    def conflicts(self, available: Artifacts) -> list[str]:
        return self.trainer.conflicts(available)

    def reads(self, available: Artifacts) -> Sequence[Artifact]:
        return self.trainer.reads(available)

    def writes(self, available: Artifacts) -> list[Artifact]:
        return [Weights(self.trainer.trains.part_name)]

    def run(self, work: Work) -> None:
        import lightning

        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # it greets; the run has a bar and a log
        lightning.seed_everything(work.seed, verbose=False)
        module, data = self.trainer.module(), self.trainer.data(work)
        require(self.trainer, _fit_error(module, data))
        last = work.folder / "checkpoints" / "last.ckpt"
        goes_on = zipfile.is_zipfile(last)
        if last.exists() and not goes_on:
            work.warn(f"{work.title}: the checkpoint '{last}' is damaged; the fit begins anew")
        steps, by_epoch = self.trainer.length(len(data)), self.trainer.checkpoint_every is None
        require(self.trainer, _length_error(steps, len(data) if by_epoch else 1))
        fit = lightning.Trainer(
            max_steps=-1 if by_epoch else steps,  # with both given, a resumed fit would count its epochs wrongly
            max_epochs=steps // len(data) if by_epoch else -1,
            devices=1,  # more would start this command again, against the run's own lock
            callbacks=[_checkpoints(last.parent, self.trainer.checkpoint_every), _shown(work, steps)],
            default_root_dir=work.folder,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            **self.trainer.fit_options(),
        )
        fit.fit(module, data, ckpt_path=str(last) if goes_on else None, weights_only=True)
        with atomic_folder(work.folder / Weights(self.trainer.trains.part_name).place) as folder:
            self.trainer.save(module, folder)
            require(self.trainer, None if any(folder.iterdir()) else "save wrote nothing")


def _fit_error(module: Any, data: Any) -> str | None:
    """One sentence unless Lightning can fit the module on the data."""
    import lightning

    if not isinstance(module, lightning.LightningModule):
        return f"module gave {value_type(module)}, not a LightningModule"
    if not isinstance(data, Sized) or not isinstance(data, Iterable):
        return f"data gave {value_type(data)}, not a DataLoader of known length"
    return None if len(data) else "data gave a DataLoader without a batch"


def _length_error(steps: Any, least: int) -> str | None:
    if not isinstance(steps, int) or isinstance(steps, bool):
        return f"length gave {value_type(steps)}, not a number of steps"
    return None if steps >= least else f"length gave {steps}, not {least} steps or more"


def _checkpoints(folder: Path, every: int | None) -> ModelCheckpoint:
    from lightning.pytorch.callbacks import ModelCheckpoint

    when: dict[str, Any] = {"every_n_train_steps": every} if every else {"every_n_epochs": 1}
    return ModelCheckpoint(dirpath=folder, save_last=True, **when)


def _shown(work: Work, steps: int) -> Callback:
    """Moves the run's own bar with every optimiser step."""
    from lightning.pytorch.callbacks import LambdaCallback

    seen = [0]

    def start(trainer: Any, module: Any) -> None:
        work.expect(steps)
        seen[0] = trainer.global_step
        work.advance(seen[0], kept=True)

    def step(trainer: Any, *_: Any) -> None:
        work.advance(trainer.global_step - seen[0])
        seen[0] = trainer.global_step

    return LambdaCallback(on_train_start=start, on_train_batch_end=step)
