"""What Lightning fits for the trainer `lora`: the module, and batches that a resumed fit goes on with."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import numpy as np
import torch
from realism.base.errors import RealismError
from realism.parts.shares import WholeBatchDraws, processes, share
from torch.utils.data import DataLoader

from realism_generators.encoded_once import EncodedOnce
from realism_generators.loading import fitting_size
from realism_generators.tuning import LoRATunable, modules

warnings.filterwarnings("ignore", "Found .* in eval mode")  # what is frozen should be: T5 would drop out

Row = tuple[Path, str, float]
"""The image of a sample, its text and the weight of its loss."""


class Batch(NamedTuple):
    """Some samples, and the seed of everything that is drawn for them."""

    images: list[Path]
    texts: list[str]
    weights: list[float]
    seed: int


@dataclass(frozen=True)
class Settings:
    """How a generator learns; see the options of `realism_generators.lora.LoRATrainer`, of which these are some."""

    generator: LoRATunable
    steps: int
    batch: int
    learning_rate: float
    resolution: int | tuple[int, int] | None
    flip: bool
    checkpointing: bool


class LoRAModule(lightning.LightningModule):
    """The network of a generator's pipeline, frozen but for the adapter in it, which learns."""

    encoded: EncodedOnce | None = None
    """What was encoded for the fit; None before it, and where a fit that had nothing left to do goes on."""

    def __init__(self, options: Settings):
        super().__init__()
        self.options = options
        self.pipeline = options.generator.training_pipeline()
        self.network = getattr(self.pipeline, options.generator.network)  # so that Lightning moves it
        if options.checkpointing:
            self.network.enable_gradient_checkpointing()
        self.strict_loading = False  # checkpoints hold the adapter alone

    def prepare(self, rows: Sequence[Row], folder: Path) -> None:
        """Encode the texts and pictures of rows, to be kept in a folder; then only the network stays on the device."""
        options = self.options
        self.encoded = EncodedOnce(
            options.generator,
            [text for _, text, _ in rows],
            [path for path, *_ in rows],
            size=fitting_size(self.pipeline, options.resolution or options.generator.size),
            flip=options.flip,
            batch=options.batch,
            folder=folder,
            device=self.device,
        )
        for part in modules(self.pipeline).values():
            if part is not self.network:
                part.to("cpu")

    def on_train_start(self) -> None:
        device, alone = self.device, self.options.generator.offload != "none"
        if alone:  # the device may be too small for the network and an encoder at a time
            self.network.to("cpu")
        for first in (True, False):  # what the first process has encoded and kept is read by the others
            if first == self.trainer.is_global_zero:
                self.prepare(self.trainer.train_dataloader.rows, Path(self.trainer.default_root_dir))
            self.trainer.strategy.barrier()
        if alone:
            self.network.to(device)

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        random = torch.Generator("cpu").manual_seed(batch.seed)
        assert self.encoded is not None, "a fit prepares first"
        n = len(batch.images)
        mirrored = (torch.rand(n, generator=random) < 0.5).tolist() if self.options.flip else [False] * n
        own = share(n)
        pictures = self.encoded.pictures(batch.images[own], mirrored[own], self.device)
        conditions = self.encoded.conditions(batch.texts[own], self.device)
        with WholeBatchDraws(random, n):
            losses = self.options.generator.losses(pictures, conditions, random)
        # Lightning takes the mean of the processes' gradients, of which each has a part of this mean
        loss = (losses * torch.tensor(batch.weights[own]).to(losses)).sum() * (processes() / n)
        if not torch.isfinite(loss):
            raise RealismError(
                f"the loss is {loss.item()} at step {self.global_step}; take a lower learning_rate, or the generator's "
                "dtype float32"
            )
        return loss

    def on_fit_end(self) -> None:
        if self.encoded is not None and self.trainer.is_global_zero:
            self.encoded.forget()

    def configure_optimizers(self) -> Any:
        learning = [weight for weight in self.parameters() if weight.requires_grad]
        fused = self.trainer.precision == "32-true"  # Lightning clips no gradients of a fused one in mixed precision
        optimizer = torch.optim.AdamW(learning, lr=self.options.learning_rate, weight_decay=0.01, fused=fused)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.options.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": falling, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        learning = {name for name, weight in self.named_parameters() if weight.requires_grad}
        checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if k in learning}


class SampleLoader(DataLoader[Batch]):
    """A number of batches, drawn from rows of samples: all rows in random order, then all in another, and so on.

    Batch k and its seed depend on torch's seed when this is made, on what was learnt before (hex digits) and on k
    alone, and Lightning keeps which comes next: a fit that was killed goes on with the same batches, and one that goes
    on from an earlier fit has others.
    """

    def __init__(self, rows: Sequence[Row], batch: int, count: int, trained: str = ""):
        super().__init__(rows, batch_size=None)  # type: ignore[arg-type]
        self.rows, self._batch, self._count, self._next = rows, batch, count, 0
        self._orders: dict[int, np.ndarray] = {}
        self._seed = [torch.initial_seed() % 2**63, int(trained or "0", 16)]

    def __len__(self) -> int:
        return self._count

    def state_dict(self) -> dict[str, int]:
        """Which batch comes next."""
        return {"next": self._next}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin with the batch that would have come next."""
        self._next = state["next"]

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        while self._next < self._count:
            images, texts, weights = zip(*self._batch_rows(self._next), strict=True)
            seed = int(np.random.SeedSequence([*self._seed, 1, self._next]).generate_state(1, np.uint64)[0]) >> 1
            self._next += 1
            yield Batch([*images], [*texts], [*weights], seed)

    def _batch_rows(self, k: int) -> list[Row]:
        n = len(self.rows)
        places = range(k * self._batch, (k + 1) * self._batch)
        return [self.rows[self._order(at // n)[at % n]] for at in places]

    def _order(self, epoch: int) -> np.ndarray:
        """All rows in random order; those of two epochs are kept, as a batch may lie in both."""
        if epoch not in self._orders:
            self._orders = {e: order for e, order in self._orders.items() if e == epoch - 1}
            self._orders[epoch] = np.random.default_rng([*self._seed, 0, epoch]).permutation(len(self.rows))
        return self._orders[epoch]
