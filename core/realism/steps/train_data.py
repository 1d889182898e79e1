"""The batches of a fit, which are the same after it was killed as they would have been."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset


def resumable(data: Any) -> Any:
    """The data of a fit as it is if it keeps its own place (`state_dict` and `load_state_dict`) or orders each epoch by
    a seed (`set_epoch` of its batch sampler), else its batches in an order that is decided by torch's seed and the
    epoch, with the place among them in Lightning's checkpoints."""
    stateful = hasattr(data, "state_dict") and hasattr(data, "load_state_dict")
    if stateful or hasattr(getattr(data, "batch_sampler", None), "set_epoch"):
        return data
    listed = isinstance(data, DataLoader) and data.batch_sampler is not None
    return ResumableLoader(data) if listed and not isinstance(data.dataset, IterableDataset) else data


class ResumableLoader:
    """A DataLoader whose batches of rows are drawn anew for each epoch, from torch's seed at the time when this is made
    and the number of the epoch alone. Only the batches that are left are loaded."""

    def __init__(self, loader: DataLoader[Any]):
        self._loader, self._seed = loader, torch.initial_seed() % 2**62
        self._epoch = self._batch = 0

    def __len__(self) -> int:
        return len(self._loader)

    def state_dict(self) -> dict[str, int]:
        """Which batch of which epoch comes next."""
        return {"epoch": self._epoch, "batch": self._batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Start with the batch that would have come next."""
        self._epoch, self._batch = state["epoch"], state["batch"]

    def __iter__(self) -> Iterator[Any]:
        if self._batch >= len(self):
            self._epoch, self._batch = self._epoch + 1, 0
        for batch in self._rest():
            self._batch += 1
            yield batch

    def _rest(self) -> DataLoader[Any]:
        """A loader of the batches of this epoch that are left."""
        loader = self._loader
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed + self._epoch)
            batches: list[Any] = list(loader.batch_sampler)  # type: ignore[arg-type]
        return DataLoader(
            loader.dataset,
            batch_sampler=batches[self._batch :],
            collate_fn=loader.collate_fn,
            num_workers=loader.num_workers,
            pin_memory=loader.pin_memory,
            worker_init_fn=loader.worker_init_fn,
        )
