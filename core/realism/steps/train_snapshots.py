"""What a generator draws of fixed prompts while it is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.seed import isolate_rng

from realism.base.images import write_images
from realism.data.artifacts import Snapshots
from realism.data.rows import Snapshot
from realism.data.types import Request, Unmade
from realism.parts import Generator, checked
from realism.parts.work import Work

if TYPE_CHECKING:
    from realism import parts


class SnapshotDrawer(Callback):
    """Draws the same requests before the first optimiser step, after every so many, and after the last.

    The fit goes on as if nothing had been drawn. What is drawn is written before the checkpoint of the same step, so
    that a resumed fit lacks none.
    """

    def __init__(
        self,
        trainer: parts.Trainer,
        generator: Generator,
        requests: Sequence[Request],
        every: int,
        work: Work,
        target: Snapshots,
    ):
        super().__init__()
        self._part, self._generator, self._requests, self._every = trainer, generator, requests, every
        self._work, self._target, self._step = work, target, 0

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self._step = trainer.global_step
        if self._step == 0:
            self._draw(trainer, module)

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        if trainer.global_step != self._step:
            self._step = trainer.global_step
            if self._step % self._every == 0 or self._step == trainer.estimated_stepping_batches:
                self._draw(trainer, module)

    def _draw(self, trainer: Trainer, module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        modes = {inner: inner.training for inner in module.modules()}
        with isolate_rng(), torch.no_grad():
            made = checked.pictures(self._generator, self._part.draw(module, self._requests), len(self._requests))
        for inner, mode in modes.items():
            inner.training = mode
        folder = self._work.folder / "images"
        rows, images = [], []
        for k, (request, image) in enumerate(zip(self._requests, made, strict=True)):
            if not isinstance(image, Unmade):
                path = (folder / f"{self._step:08d}-{k}.png").relative_to(self._work.root).as_posix()
                rows.append(Snapshot(self._step, request.prompt.id, request.prompt.text, request.seed, path))
                images.append(image)
        write_images([self._work.root / row.image for row in rows], images)
        self._work.write(self._target, rows, -(-self._step // self._every))
