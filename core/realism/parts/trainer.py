"""Trainers: a LightningModule and its data, fitted by Lightning."""

from __future__ import annotations

import copy
import tempfile
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from realism.parts.base import Part
from realism.parts.generator import Generator
from realism.parts.tunable import Tunable

if TYPE_CHECKING:
    import lightning
    from PIL import Image
    from torch.utils.data import DataLoader

    from realism.data.artifacts import Artifact
    from realism.data.types import Request, Unmade
    from realism.parts.step import Artifacts
    from realism.parts.work import Work


class Trainer(Part):
    """Learns from what earlier steps made; Lightning fits it, so that strategies, precision and checkpoints are its.

    A fit may have several processes. Each makes the module and the data, and is given the same whole batches; Lightning
    takes the mean of their gradients. So a module that knows nothing of it learns the same as in one process, and no
    faster. It is faster if it computes its `realism.parts.shares.share` of the rows: with a loss that is the sum over
    its rows times `processes() / n` where that of the whole batch is a mean over n rows, or with the loss of the whole
    batch over rows that are `gathered`. Only the first process saves and draws.
    """

    family = "trainer"
    suite = "realism.testing:TrainerSuite"
    checkpoint_every: ClassVar[int | None] = 100
    """After how many optimiser steps a killed fit can go on; None: after each epoch."""

    @property
    @abstractmethod
    def trains(self) -> Tunable | Mapping[str, Tunable]:
        """The part that uses what is learnt, one of this trainer's options; or several, each by the name of the
        folder that `save` writes for it."""

    @abstractmethod
    def length(self, batches: int) -> int:
        """How many optimiser steps to take, with data of so many batches; whole epochs where checkpoint_every is
        None."""

    def fit_options(self) -> Mapping[str, Any]:
        """More arguments of lightning.Trainer: precision, accumulate_grad_batches, gradient_clip_val. Callbacks are not
        among them: a module has its own in `configure_callbacks`, and logs by `self.log`."""
        return {}

    def conflicts(self, available: Artifacts) -> list[str]:
        """One sentence for each thing that keeps it from learning, besides lacking what it reads."""
        return []

    @abstractmethod
    def reads(self, available: Artifacts) -> Sequence[Artifact]:
        """What it learns from, whether or not it is there."""

    @abstractmethod
    def module(self) -> lightning.LightningModule:
        """The module to fit. Made anew at each call, from this trainer's options; it begins where `trains` stands.

        torch is seeded before; what loads here must not draw from its generator, or a resumed run would begin
        otherwise."""

    @abstractmethod
    def data(self, work: Work) -> DataLoader[Any]:
        """What to fit it on, from the artifacts it reads; paths of samples are relative to `work.root`. Its order is
        decided by torch's global seed, which is set before.

        A killed fit goes on with the batches that were left: those of a DataLoader are drawn from the seed and the
        epoch. A loader with `state_dict` and `load_state_dict`, or with a batch sampler that has `set_epoch`, keeps its
        own place. Of an IterableDataset without these, a killed fit reads anew from the beginning."""

    @abstractmethod
    def save(self, module: lightning.LightningModule, folder: Path) -> None:
        """Write what was learnt (safetensors) into an existing folder; of several parts, into the folder in it that
        has the name of each in `trains`, which exists."""

    def draw(self, module: lightning.LightningModule, requests: Sequence[Request]) -> Sequence[Image.Image | Unmade]:
        """What the generator that it trains, the first of them, makes of requests with what the module has learnt so
        far. Called in the middle of a fit, of which it must change nothing; random generators and the modes of the
        module are put back by the caller.

        As it is, a copy of the generator uses what `save` writes, and loads its model for that. Override it where the
        module has the generator's own model in it."""
        name, generator = next((n, p) for n, p in trained_parts(self).items() if isinstance(p, Generator))
        drawing: Any = copy.copy(generator)
        with tempfile.TemporaryDirectory() as folder:
            for each in trained_parts(self):
                (Path(folder) / each).mkdir(exist_ok=True)
            self.save(module, Path(folder))
            drawing.use_weights(Path(folder) / name)
            pictures: Sequence[Image.Image | Unmade] = drawing.generate(requests)
        return pictures


def trained_parts(trainer: Trainer) -> Mapping[str, Tunable]:
    """All parts that it trains, by the folder below that of `save`, which is "." for a single one."""
    trains = trainer.trains
    return trains if isinstance(trains, Mapping) else {".": trains}
