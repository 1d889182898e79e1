"""Tensors kept on disk by rows: written once, whole or not at all, then read a few at a time."""

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
    """What `write_rows` wrote. Only the rows that are asked for are read, and none is mapped, so memory stays flat."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._kinds = json.loads((folder / INDEX).read_text(encoding="utf-8"))

    def rows(self, places: Sequence[int], device: torch.device) -> dict[str, torch.Tensor]:
        """The rows at those places, in order, on a device."""
        return {name: self._read(name, places).to(device) for name in self._kinds}

    def _read(self, name: str, places: Sequence[int]) -> torch.Tensor:
        dtype, shape = getattr(torch, self._kinds[name]["dtype"]), self._kinds[name]["shape"][1:]
        size = math.prod(shape) * dtype.itemsize
        data = bytearray(size * len(places))
        with (self._folder / f"{name}.raw").open("rb") as file:
            for k, place in enumerate(places):
                file.seek(place * size)
                file.readinto(memoryview(data)[k * size : (k + 1) * size])
        return torch.frombuffer(data, dtype=dtype).reshape(len(places), *shape)
