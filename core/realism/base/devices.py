"""Which device a model runs on, and in which arithmetic."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from realism.base.errors import RealismError

if TYPE_CHECKING:
    import torch

DType = Literal["auto", "float32", "bfloat16", "float16"]
"""Names of the arithmetic a model may run in."""
DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Of NVIDIA, of AMD, and of either below WSL: torch finds no CUDA device without one of them."""


def pick_device(name: str = "auto") -> torch.device:
    """ "auto" is the first CUDA device if there is one, else the CPU; any other name is torch's own ("cpu", "cuda:1").

    Raises RealismError for a name torch does not know and for a device that is not there.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise RealismError(f"no device '{name}'; expected auto, cpu, cuda or cuda:NUMBER") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise RealismError(f"no device '{name}': this machine has {torch.cuda.device_count()} CUDA devices; try auto")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise RealismError("no device 'mps' on this machine; try auto")
    return device


def is_cpu(name: str) -> bool:
    """Whether `pick_device(name)` is the CPU. torch, which takes seconds to import, is imported only where a GPU driver
    is present."""
    if name == "cpu" or (name == "auto" and sys.platform == "linux" and not any(Path(d).exists() for d in DRIVERS)):
        return True
    return pick_device(name).type == "cpu"


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """The torch dtype of that name, one of `DType`; "auto" is float32 on the CPU, else bfloat16."""
    import torch

    if name == "auto":
        name = "float32" if device.type == "cpu" else "bfloat16"
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]
