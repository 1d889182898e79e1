"""Trainers: a LightningModule and its data, fitted by Lightning."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from realism.parts.base import Part

if TYPE_CHECKING:
    import lightning
    from torch.utils.data import DataLoader

    from realism.tables import Sample


class Trainer(Part):
    """Learns from samples. Lightning fits it, so that strategies, precision, checkpoints and loggers are Lightning's.

    Options that every trainer has: steps, the number of optimiser steps.
    """

    family = "trainer"
    steps: int

    @abstractmethod
    def module(self) -> lightning.LightningModule:
        """The module to fit. Made anew at each call, from this trainer's options."""

    @abstractmethod
    def data(self, samples: Sequence[Sample]) -> DataLoader:
        """What to fit it on."""

    @abstractmethod
    def save(self, module: lightning.LightningModule, folder: Path) -> None:
        """Write what was learnt (safetensors) into an existing folder."""
