"""The step `train`: fit a trainer on the samples."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from realism.files import renamed_folder
from realism.parts import Trainer
from realism.parts.step import Step, arms
from realism.parts.tunable import use_learnt
from realism.run.state import State
from realism.run.work import Work
from realism.tables import Sample, read


@dataclass
class Train(Step):
    """Fit a trainer on the samples of all arms with Lightning; a killed fit goes on from its last checkpoint."""

    trainer: Trainer
    """What learns. Options of the trainer may be written here: {trainer: lora, steps: 2500}."""

    passes_on_to = "trainer"

    def title(self) -> str:
        return f"train {self.trainer.part_name}"

    def missing(self, there: Collection[str]) -> list[str]:
        return [] if arms(there) else ["there are no samples to train on: put a step 'generate' before this"]

    def reads(self, there: Collection[str]) -> list[str]:
        return [s for s in there if s.startswith(("samples:", "scores:", "weights:"))]

    def makes(self, there: Collection[str]) -> list[str]:
        return [f"weights:{self.trainer.trains}"]

    def run(self, state: State, work: Work) -> Mapping[str, Path]:
        import lightning
        from lightning.pytorch.callbacks import ModelCheckpoint

        learner = work.run.recipe.parts.get(self.trainer.trains)
        if learner is not None:
            use_learnt(learner, state)
        samples = [s for arm in arms(state) for s in read(state.path(f"samples:{arm}"), Sample)]
        lightning.seed_everything(work.run.recipe.seed, verbose=False)
        module = self.trainer.module()
        last = work.folder / "checkpoints" / "last.ckpt"
        keep = ModelCheckpoint(dirpath=last.parent, save_last=True, every_n_train_steps=self.trainer.checkpoint_every)
        fit = lightning.Trainer(
            max_steps=self.trainer.steps,
            devices=1,  # more would start this command again, against the run's own lock
            callbacks=[keep],
            default_root_dir=work.folder,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        resume = str(last) if last.exists() else None
        fit.fit(module, self.trainer.data(samples), ckpt_path=resume, weights_only=True)
        with renamed_folder(work.folder / "weights") as folder:
            self.trainer.save(module, folder)
        return {f"weights:{self.trainer.trains}": work.folder / "weights"}
