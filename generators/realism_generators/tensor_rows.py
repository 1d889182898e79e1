"""Tensors on disk by rows: written once and atomically, then read a few rows at a time."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from realism.base.files import atomic_folder, write_json

INDEX = "rows.json"


def write_rows(folder: Path, batches: Iterable[Mapping[str, torch.Tensor]]) -> None:
    """Write batches of tensors (b, ...), of the same names and shapes but for b, one file a name, into a folder that
    is there only once it is whole. One batch at a time is in memory."""
    with atomic_folder(folder) as temporary, ExitStack() as files:
        opened: dict[str, Any] = {}
        index: dict[str, Any] = {}
        for batch in batches:
            for name, rows in batch.items():
                if name not in opened:
                    opened[name] = files.enter_context((temporary / f"{name}.raw").open("wb"))
                    index[name] = {"dtype": str(rows.dtype).removeprefix("torch."), "shape": [0, *rows.shape[1:]]}
                index[name]["shape"][0] += len(rows)
                opened[name].write(rows.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        write_json(temporary / INDEX, index)


class TensorRows:
    """What `write_rows` wrote. Only requested rows are read, and none is memory-mapped, so memory does not grow."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._index = json.loads((folder / INDEX).read_text(encoding="utf-8"))

    def rows(self, indices: Sequence[int], device: torch.device) -> dict[str, torch.Tensor]:
        """The rows (b, ...) at those indices, in order, on a device, by name."""
        return {name: self._read(name, indices).to(device) for name in self._index}

    def _read(self, name: str, indices: Sequence[int]) -> torch.Tensor:
        dtype, shape = getattr(torch, self._index[name]["dtype"]), self._index[name]["shape"][1:]
        size = math.prod(shape) * dtype.itemsize
        data = bytearray(size * len(indices))
        with (self._folder / f"{name}.raw").open("rb") as file:
            for k, at in enumerate(indices):
                file.seek(at * size)
                file.readinto(memoryview(data)[k * size : (k + 1) * size])
        return torch.frombuffer(data, dtype=dtype).reshape(len(indices), *shape)
