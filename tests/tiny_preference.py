"""Tiny random aesthetic and preference models of the real classes, in the formats of the real ones."""

from __future__ import annotations

from pathlib import Path


def aesthetic_head(folder: Path, width: int = 32, seed: int = 6) -> Path:
    """A head as LAION's, narrower: linear layers with dropout in between, which is left out of the numbers."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    sizes = {0: (width, 24), 2: (24, 16), 4: (16, 8), 6: (8, 4), 7: (4, 1)}
    layers = {f"layers.{i}": torch.nn.Linear(*size) for i, size in sizes.items()}
    folder.mkdir(parents=True, exist_ok=True)
    weights = {f"{name}.{k}": v.detach() for name, layer in layers.items() for k, v in layer.state_dict().items()}
    save_file(weights, folder / "head.safetensors")
    return folder
