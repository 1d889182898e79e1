"""Batches as large as the memory takes."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import TypeVar

from realism.base.errors import RealismError

T = TypeVar("T")
R = TypeVar("R")

STARVED = ("out of memory", "can't allocate memory", "cannot allocate memory", "alloc_failed")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch (or a library under it) says that a device or the machine has no memory left."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in STARVED)


class Batches:
    """Calls something on consecutive batches. When memory runs out the size is halved, and stays so for later calls.

    size is what the user asked for; None is found by itself, from `start` downwards. An item's result must not depend
    on its batch, as the size may differ from machine to machine.
    """

    def __init__(self, size: int | None = None, start: int = 32):
        self.size = max(1, size if size is not None else start)
        """The batch size in use now."""

    def run(self, items: Sequence[T], call: Callable[[list[T]], Sequence[R]]) -> list[R]:
        """The results of all items, in order. call takes up to `size` items and returns as many results.

        Raises RealismError when even one item does not fit into memory; anything else that `call` raises goes through.
        """
        results: list[R] = []
        while len(results) < len(items):
            batch = list(items[len(results) : len(results) + self.size])
            try:
                outputs: Sequence[R] | None = call(batch)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if len(batch) == 1:
                    raise RealismError(
                        "memory ran out with a single item in the batch; choose a smaller size, dtype bfloat16, "
                        "offload or another device"
                    ) from error
                outputs = None
            if outputs is None:  # outside the handler, so that the failed call's tensors are freed
                self.size = max(1, len(batch) // 2)
                _release()
                continue
            if len(outputs) != len(batch):
                raise RealismError(f"a batch of {len(batch)} gave {len(outputs)} results")
            results.extend(outputs)
        return results


def _release() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
