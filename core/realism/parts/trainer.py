"""Trainers: a LightningModule and its data, fitted by Lightning."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from realism.parts.base import Part

if TYPE_CHECKING:
    import lightning
    from torch.utils.data import DataLoader

    from realism.tables import Sample


class Trainer(Part):
    """Learns from samples; Lightning fits it, so that strategies, precision and checkpoints are Lightning's."""

    family = "trainer"
    steps: int
    """How many optimiser steps to take; each trainer has this option."""
    checkpoint_every: ClassVar[int] = 100
    """After how many steps a killed fit can go on."""

    @property
    @abstractmethod
    def trains(self) -> str:
        """The name of the part that uses what is learnt."""

    @abstractmethod
    def module(self) -> lightning.LightningModule:
        """The module to fit. Made anew at each call, from this trainer's options."""

    @abstractmethod
    def data(self, samples: Sequence[Sample]) -> DataLoader:
        """What to fit it on."""

    @abstractmethod
    def save(self, module: lightning.LightningModule, folder: Path) -> None:
        """Write what was learnt (safetensors) into an existing folder."""
