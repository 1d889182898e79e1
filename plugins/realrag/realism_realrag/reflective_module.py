"""What Lightning fits: the module, its pairs, and batches in which no text stands twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import lightning
import numpy as np
import torch
from realism.base.errors import RealismError
from realism.parts.shares import gathered, share
from torch.utils.data import Dataset, Sampler

from .losses import Form, reflective_loss
from .vectors import Vectors

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]


class ReflectiveModule(lightning.LightningModule):
    """The MLP under the reflective loss."""

    def __init__(self, mlp: torch.nn.Module, temperature: float, form: Form, rate: float, weight_decay: float):
        super().__init__()
        self.mlp, self.temperature, self.form = mlp, temperature, form
        self.rate, self.weight_decay = rate, weight_decay

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        query, images, negatives = batch
        projected = None if negatives is None else self._projected(negatives)
        loss = reflective_loss(query, self._projected(images), projected, temperature=self.temperature, form=self.form)
        if not torch.isfinite(loss):
            raise RealismError(
                f"the loss is {loss.item()} at step {self.global_step}: form '{self.form}' with temperature "
                f"{self.temperature:g} is not defined here; take form 'infonce' or a lower learning_rate"
            )
        return loss

    def _projected(self, rows: torch.Tensor) -> torch.Tensor:
        """The MLP of all rows of a batch, of which each process does its share: the loss is one over all of them."""
        return gathered(self.mlp(rows[share(len(rows))]), len(rows))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.mlp.parameters(), lr=self.rate, weight_decay=self.weight_decay)


class Pairs(Dataset[Batch]):
    """Vectors of texts, of their images and of the images' negatives, by lists of positions."""

    def __init__(
        self, folder: Path, texts: np.ndarray, of_row: Sequence[tuple[int, int]], negatives: Mapping[int, int] | None
    ):
        """folder: the indexed database. texts: (t, d). of_row: database row and text of each position. negatives: the
        negative's row by the row of its positive."""
        self._vectors, self._texts = Vectors(folder), torch.from_numpy(texts)
        rows = np.asarray(of_row, np.int64).reshape(-1, 2)
        self._rows, self._at = rows[:, 0], rows[:, 1]
        self._negatives = None if negatives is None else np.asarray([negatives[r] for r in self._rows.tolist()])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, positions: Sequence[int]) -> Batch:
        at = np.asarray(positions)
        images = torch.from_numpy(self._vectors.take(self._rows[at]))
        negatives = None
        if self._negatives is not None:
            negatives = torch.from_numpy(self._vectors.take(self._negatives[at]))
        return self._texts[self._at[at]], images, negatives


class DistinctTexts(Sampler[list[int]]):
    """Batches of positions in which no text stands twice; every position stands in one batch of each epoch.

    The images of a text are spread evenly over the epoch, so that every batch is a fair sample of the texts. There are
    as many batches as the text with the most images needs, or n / batch if that is more; batch is their size where
    that decides, give or take a few. The order depends on torch's seed when this is made, on what was
    learned before (hex digits) and on the epoch, which Lightning sets: a fit that was killed goes on with the same
    batches, and one that goes on from an earlier fit has others.
    """

    def __init__(self, texts: Sequence[int], batch: int, trained: str = ""):
        self._texts = np.asarray(texts)
        self._counts = np.bincount(self._texts)
        self._length = max(-(-len(self._texts) // batch), int(self._counts.max(initial=1)))
        self._seed = [torch.initial_seed() % 2**63, *([int(trained, 16)] if trained else [])]
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Which epoch's batches come next."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[list[int]]:
        yield from self._batches(self._epoch)  # at the first that is asked for: a resumed fit sets the epoch late

    def _batches(self, epoch: int) -> list[list[int]]:
        """Image r of a text's c images, in random order, goes to batch floor((r + u) B / c) of B, u in [0, 1): two of
        one text are at least B / c >= 1 apart. The texts' u are evenly spaced, which keeps the batches of a size."""
        random = np.random.default_rng([*self._seed, epoch])
        shuffled = random.permutation(len(self._texts))
        by_text = shuffled[np.argsort(self._texts[shuffled], kind="stable")]
        texts = self._texts[by_text]
        first = np.flatnonzero(np.r_[True, texts[1:] != texts[:-1]])
        rank = np.arange(len(texts)) - np.repeat(first, np.diff(np.r_[first, len(texts)]))
        start = (random.permutation(len(self._counts)) + random.random()) / len(self._counts)
        at = np.floor((rank + start[texts]) * self._length / self._counts[texts]).astype(np.int64)
        order = np.argsort(at, kind="stable")
        ends = np.cumsum(np.bincount(at, minlength=self._length))[:-1]
        batches = [same.tolist() for same in np.split(by_text[order], ends)]
        return [batches[i] for i in random.permutation(len(batches)) if batches[i]]
