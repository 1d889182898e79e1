"""What Lightning fits for the trainer `lora`: the module, and batches that a resumed fit goes on with."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import numpy as np
import torch
from diffusers.training_utils import EMAModel
from realism.base.errors import RealismError
from realism.parts.shares import WholeBatchDraws, processes, share
from torch.utils.data import DataLoader

from realism_generators.encoded_once import EncodedOnce
from realism_generators.loading import fitting_size
from realism_generators.tuning import LoRATunable, modules

warnings.filterwarnings("ignore", "Found .* in eval mode")  # frozen modules should be: T5 has dropout

Row = tuple[Path, str, float]
"""The image file of a sample, its text and the weight of its loss."""


class Batch(NamedTuple):
    """Samples, and the seed of everything that is drawn for them."""

    images: list[Path]
    texts: list[str]
    weights: list[float]
    seed: int


@dataclass(frozen=True)
class Settings:
    """The options of `realism_generators.lora.LoRATrainer` that the module needs."""

    generator: LoRATunable
    steps: int
    batch: int
    learning_rate: float
    resolution: int | tuple[int, int] | None
    flip: bool
    gradient_checkpointing: bool
    optimizer: str
    min_snr: float | None
    caption_dropout: float
    ema_decay: float | None


class LoRAModule(lightning.LightningModule):
    """The network of a generator's pipeline, frozen but for its adapter, which is trained."""

    encoded: EncodedOnce | None = None
    """The texts and pictures of the fit; None before it, and in a resumed fit without a step left."""

    def __init__(self, options: Settings):
        super().__init__()
        self.options = options
        self.pipeline = options.generator.training_pipeline()
        self.network = getattr(self.pipeline, options.generator.network)  # so that Lightning moves it
        if options.gradient_checkpointing:
            self.network.enable_gradient_checkpointing()
        self.strict_loading = False  # checkpoints have the adapter alone
        self.ema = None if options.ema_decay is None else EMAModel(self.trainable(), options.ema_decay)

    def trainable(self) -> list[torch.nn.Parameter]:
        """The weights of the adapter, in the order of the network's parameters."""
        return [weight for weight in self.parameters() if weight.requires_grad]

    def prepare(self, rows: Sequence[Row], folder: Path) -> None:
        """Encode the texts and pictures of rows into a folder; then only the network stays on the device."""
        options = self.options
        self.encoded = EncodedOnce(
            options.generator,
            [text for _, text, _ in rows],
            [path for path, *_ in rows],
            size=fitting_size(self.pipeline, options.resolution or options.generator.size),
            flip=options.flip,
            unconditional=options.caption_dropout > 0,
            batch=options.batch,
            folder=folder,
            device=self.device,
        )
        for part in modules(self.pipeline).values():
            if part is not self.network:
                part.to("cpu")

    def on_fit_start(self) -> None:
        if processes() > self.options.batch:
            raise RealismError(
                f"devices: {processes()} devices share batches of {self.options.batch}, so some would have nothing to "
                f"do; take a 'batch' of {processes()} or more and accumulate less, or fewer devices"
            )

    def on_train_start(self) -> None:
        device, offload = self.device, self.options.generator.offload != "none"
        if offload:  # the device may be too small for the network and an encoder at a time
            self.network.to("cpu")
        for first in (True, False):  # what the first process has encoded and kept is read by the others
            if first == self.trainer.is_global_zero:
                self.prepare(self.trainer.train_dataloader.rows, Path(self.trainer.default_root_dir))
            self.trainer.strategy.barrier()
        if offload:
            self.network.to(device)
        if self.ema is not None:
            self.ema.to(device)

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        random = torch.Generator("cpu").manual_seed(batch.seed)
        assert self.encoded is not None, "prepare() comes first"
        n = len(batch.images)
        mirrored = (torch.rand(n, generator=random) < 0.5).tolist() if self.options.flip else [False] * n
        own = share(n)
        pictures = self.encoded.pictures(batch.images[own], mirrored[own], self.device)
        texts = drop_captions(batch.texts, self.options.caption_dropout, random)
        conditions = self.encoded.conditions(texts[own], self.device)
        with WholeBatchDraws(random, n):
            losses = self.options.generator.losses(pictures, conditions, random, self.options.min_snr)
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
            self.encoded.delete()

    def configure_optimizers(self) -> Any:
        optimizer = self._optimizer(self.trainable(), lr=self.options.learning_rate, weight_decay=0.01)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.options.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _optimizer(self, weights: list[torch.nn.Parameter], **options: Any) -> torch.optim.Optimizer:
        if self.options.optimizer == "adamw":
            # Lightning clips no gradients of a fused one in mixed precision
            return torch.optim.AdamW(weights, fused=self.trainer.precision == "32-true", **options)
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns of 4-bit kernels, which nothing here uses
        from bitsandbytes.optim import AdamW8bit

        return AdamW8bit(weights, **options)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        if self.ema is not None:
            self.ema.step(self.trainable())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        trainable = {name for name, weight in self.named_parameters() if weight.requires_grad}
        checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if k in trainable}
        if self.ema is not None:
            checkpoint["ema"] = self.ema.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.ema is not None:
            self.ema.load_state_dict(checkpoint["ema"])


def drop_captions(texts: Sequence[str], probability: float, random: torch.Generator) -> list[str | None]:
    """Texts (b,), each replaced by None with a probability in [0, 1]; b numbers are drawn from a generator on the CPU,
    none where the probability is 0."""
    if not probability:
        return list(texts)
    dropped = torch.rand(len(texts), generator=random) < probability
    return [None if drop else text for text, drop in zip(texts, dropped.tolist(), strict=True)]


class SampleLoader(DataLoader[Batch]):
    """A number of batches, drawn from rows of samples: all rows in random order, then all in another, and so on.

    Batch k and its seed depend on torch's seed when this is made, on the fingerprint of the weights that the fit starts
    from (hex digits) and on k alone, and the next k is part of Lightning's checkpoints: a killed fit goes on with the
    same batches, and one that starts from an earlier fit has others.
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
        """Start with the batch that would have come next."""
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
        """All rows in random order; the orders of two epochs are cached, as a batch may span both."""
        if epoch not in self._orders:
            self._orders = {e: order for e, order in self._orders.items() if e == epoch - 1}
            self._orders[epoch] = np.random.default_rng([*self._seed, 0, epoch]).permutation(len(self.rows))
        return self._orders[epoch]
