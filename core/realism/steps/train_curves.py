"""What a fit logs, as curves of at most a few thousand points that a resumed fit goes on with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers.logger import Logger

from realism.data.rows import CurvePoint

MOST_POINTS = 2000
"""Points of a curve, besides its last; it has half as many at least once it had so many."""


@dataclass
class Curve:
    """Values by step: every `stride`-th that was logged, and the last. When there are too many, every other is dropped,
    so which are there depends on what was logged alone."""

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    stride: int = 1
    count: int = 0
    last_step: int = -1
    last_value: float = 0.0

    def add(self, step: int, value: float) -> None:
        """Note the value of a step, in the order of steps; another one of the same step takes its place."""
        again = step == self.last_step
        self.count += not again
        self.last_step, self.last_value = step, value
        if again and self.steps and self.steps[-1] == step:
            self.values[-1] = value
        elif not again and (self.count - 1) % self.stride == 0:
            self.steps.append(step)
            self.values.append(value)
            if len(self.steps) > MOST_POINTS:
                self.steps, self.values, self.stride = self.steps[::2], self.values[::2], 2 * self.stride

    def points(self) -> Iterator[tuple[int, float]]:
        """Steps with their values, in order."""
        yield from zip(self.steps, self.values, strict=True)
        if self.steps and self.steps[-1] != self.last_step:
            yield self.last_step, self.last_value


class CurveRecorder(Logger, Callback):
    """Keeps what Lightning logs, and logs the loss, the learning rate and the norm of the gradient of any module.

    It is a logger, so it is given what `self.log` says; and a callback, so checkpoints hold it.
    """

    name = version = "curves"  # asked for by Logger

    def __init__(self, show: Callable[[str], None]):
        """show: is given the newest loss, in a few words."""
        super().__init__()
        self._curves: dict[str, Curve] = {}
        self._show, self._trainer = show, None
        self._step, self._loss = 0, torch.tensor(0.0)

    def rows(self) -> list[CurvePoint]:
        """All curves, one after another in the order of their names."""
        return [CurvePoint(name, *point) for name in sorted(self._curves) for point in self._curves[name].points()]

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        for name, value in metrics.items():
            if name != "epoch":  # Lightning adds it
                self._curves.setdefault(name, Curve()).add((step or 0) + 1, float(value))

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Nothing: a run knows its options."""

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self._trainer, self._step = trainer, trainer.global_step

    def on_before_optimizer_step(self, trainer: Trainer, module: LightningModule, optimizer: Any) -> None:
        number = [id(o) for o in trainer.optimizers].index(id(getattr(optimizer, "_optimizer", optimizer)))
        suffix = f"_{number + 1}" if number else ""
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        norm = torch.nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
        module.log(f"gradient_norm{suffix}", norm.float())
        module.log(f"learning_rate{suffix}", float(optimizer.param_groups[0]["lr"]))

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, outputs: Any, *_: Any) -> None:
        if isinstance(outputs, Mapping) and isinstance(loss := outputs.get("loss"), torch.Tensor):
            self._loss = self._loss.to(loss.device) + loss.float()  # of one of the batches of an optimiser step
            if trainer.global_step != self._step:
                module.log("loss", self._loss, sync_dist=True)
                self._show(f"loss {self._loss.item():.4g}")
                self._loss = torch.zeros_like(self._loss)
        self._step = trainer.global_step

    def state_dict(self) -> dict[str, Any]:
        """Kept with a checkpoint, which is written before Lightning logs the step that it ends with."""
        if self._trainer is not None and self._trainer.fit_loop.epoch_loop._results is not None:
            values = {name: float(value) for name, value in self._trainer._logger_connector.metrics["log"].items()}
            self.log_metrics(values, self._trainer.fit_loop.epoch_loop._batches_that_stepped)
        return {name: asdict(curve) for name, curve in self._curves.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._curves = {name: Curve(**curve) for name, curve in state.items()}
