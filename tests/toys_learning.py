"""Toys that learn, apart from the others as Lightning takes seconds to import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import lightning
import torch
from PIL import Image
from realism import Generator, Request, Trainer, Tunable
from realism.data.artifacts import Artifact, ScoreTable
from realism.parts.step import Artifacts, samples_of
from realism.parts.work import Work
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader


@dataclass
class ToyLearner(Generator, Tunable):
    """Paints one grey, which it can learn, give or take some noise."""

    grey: float = 0.0
    noise: int = 1

    def use_weights(self, folder: Path | None) -> None:
        self._trained = load_file(folder / "grey.safetensors")["grey"].item() if folder else self.grey

    def generate(self, requests: Sequence[Request]) -> list[Image.Image]:
        greys = [round(self._trained + request.seed % self.noise - self.noise // 2) for request in requests]
        return [Image.new("RGB", (8, 8), (grey,) * 3) for grey in greys]


class GreyModule(lightning.LightningModule):
    """One number, drawn to 200."""

    def __init__(self):
        super().__init__()
        self.grey = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch, _):
        self.log("distance", (self.grey - 200).abs().mean(), sync_dist=True)
        return ((self.grey - 200) ** 2).mean() + 0 * batch.sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.25)


@dataclass
class ToyTrainer(Trainer):
    """Teaches a generator the grey of 200."""

    generator: ToyLearner
    steps: int = 10

    @property
    def trains(self) -> ToyLearner:
        return self.generator

    def length(self, batches: int) -> int:
        return self.steps

    def reads(self, available: Artifacts) -> list[Artifact]:
        return [*samples_of(available, []), *ScoreTable.among(available)]

    def module(self) -> lightning.LightningModule:
        return GreyModule()

    def data(self, work: Work) -> DataLoader:
        samples = [s for arm in samples_of(work.state, []) for s in work.read(arm)]
        return DataLoader(torch.zeros(max(1, len(samples)), 1), batch_size=2)

    def save(self, module: lightning.LightningModule, folder: Path) -> None:
        save_file({"grey": module.grey.detach().clone()}, folder / "grey.safetensors")


@dataclass
class ToyPairTrainer(ToyTrainer):
    """Teaches two generators the grey of 200: the first all of the way, the second half of it."""

    second: ToyLearner = None  # type: ignore[assignment]

    @property
    def trains(self) -> dict[str, ToyLearner]:  # type: ignore[override]
        return {"first": self.generator, "half": self.second}

    def save(self, module: lightning.LightningModule, folder: Path) -> None:
        for name, share in (("first", 1.0), ("half", 0.5)):
            save_file({"grey": share * module.grey.detach()}, folder / name / "grey.safetensors")
