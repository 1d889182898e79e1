"""Weights from files, shipped models and the hub: nothing is unpickled, and errors are one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from realism.base.errors import RealismError
from realism.base.files import user_path
from realism.base.loading import read_tensors
from realism.base.pretrained import loading_errors
from realism.plugins.models import HUB_ID, find_model

if TYPE_CHECKING:
    import torch


def local_weights(name: str, inside: str) -> Path | None:
    """The file of that name, or the file `inside` the folder or shipped model of that name; None for the hub's.

    Raises RealismError if it should be on this machine and is not."""
    path = user_path(name)
    if path.is_file():
        return path
    if name.count("/") >= 2 and not name.startswith((".", "/", "~")) and not path.is_dir():
        owner, model, file = name.split("/", 2)
        if not HUB_ID.fullmatch(f"{owner}/{model}") or not file:
            raise RealismError(f"no weights '{name}'; expected a file, a folder, or 'owner/name/file' of the hub")
        return None
    if name.endswith((".safetensors", ".pt", ".pth", ".bin")):
        raise RealismError(f"no file '{name}'; expected one that is there, a folder, or 'owner/name/file' of the hub")
    folder = find_model(name)
    if not isinstance(folder, Path):
        raise RealismError(f"no weights '{name}': write which file of the hub's model, as in '{name}/{inside}'")
    if not (folder / inside).is_file():
        raise RealismError(f"{folder} has no {inside}; expected one, made for this reward")
    return folder / inside


def weights_error(name: str, inside: str) -> str | None:
    """One sentence if `local_weights` would raise."""
    try:
        local_weights(name, inside)
    except RealismError as error:
        return str(error)
    return None


def read_weights(name: str, inside: str) -> dict[str, torch.Tensor]:
    """The tensors of the file that `local_weights` names, or of the hub's 'owner/name/file': see `read_tensors`.

    Raises RealismError if they cannot be had."""
    path = local_weights(name, inside)
    with loading_errors(path or name):
        return read_tensors(path or _fetched(name), name)


def _fetched(name: str) -> Path:
    from huggingface_hub import hf_hub_download

    owner, model, file = name.split("/", 2)
    return Path(hf_hub_download(f"{owner}/{model}", file))
