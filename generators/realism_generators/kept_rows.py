"""Tensors kept on disk by rows: written once, whole or not at all, then read through memory maps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from realism.base.files import renamed_folder, write_json

INDEX = "rows.json"


def keep_rows(folder: Path, batches: Iterable[Mapping[str, torch.Tensor]]) -> None:
    """Write batches of tensors (b, ...), of the same names and shapes but for b, one file a name, into a folder that
    is there only once it is whole. One batch at a time is in memory."""
    with renamed_folder(folder) as aside, ExitStack() as files:
        opened: dict[str, Any] = {}
        index: dict[str, Any] = {}
        for batch in batches:
            for name, rows in batch.items():
                if name not in opened:
                    opened[name] = files.enter_context((aside / f"{name}.raw").open("wb"))
                    index[name] = {"dtype": str(rows.dtype).removeprefix("torch."), "shape": [0, *rows.shape[1:]]}
                index[name]["shape"][0] += len(rows)
                opened[name].write(rows.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        write_json(aside / INDEX, index)


class KeptRows:
    """What `keep_rows` wrote. Only the rows that are asked for are read."""

    def __init__(self, folder: Path):
        self._tensors = {
            name: _mapped(folder / f"{name}.raw", getattr(torch, kind["dtype"]), kind["shape"])
            for name, kind in json.loads((folder / INDEX).read_text(encoding="utf-8")).items()
        }

    def rows(self, places: Sequence[int], device: torch.device) -> dict[str, torch.Tensor]:
        """The rows at those places, in order, on a device."""
        at = torch.tensor(places)
        return {name: tensor[at].to(device) for name, tensor in self._tensors.items()}


def _mapped(file: Path, dtype: torch.dtype, shape: Sequence[int]) -> torch.Tensor:
    size = int(torch.tensor(shape).prod())
    return torch.from_file(str(file), shared=False, size=size, dtype=dtype).reshape(*shape)
