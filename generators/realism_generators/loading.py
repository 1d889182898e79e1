"""Diffusers pipelines from folders and the hub: safetensors only, no remote code, errors of one sentence."""

from __future__ import annotations

import contextlib
import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realism.base.errors import RealismError
from realism.base.loading import load_model, load_without_weights, safe_loading
from realism.base.pretrained import loading_errors
from realism.plugins.models import find_model

if TYPE_CHECKING:
    import torch


def folder_error(name: str, classes: Sequence[str]) -> str | None:
    """One sentence if the model is not found, or is a folder that none of these pipeline classes can load."""
    try:
        folder = find_model(name)
        if isinstance(folder, Path):
            check_folder(folder, classes)
    except RealismError as error:
        return str(error)
    return None


def check_folder(folder: Path, classes: Sequence[str]) -> None:
    """Raises RealismError unless the folder holds a pipeline of one of these classes, with all its components."""
    index = folder / "model_index.json"
    if not index.is_file():
        raise RealismError(f"{folder} is no diffusers model: it has no model_index.json")
    try:
        parts: dict[str, Any] = json.loads(index.read_text(encoding="utf-8"))
        found = parts["_class_name"]
    except (ValueError, KeyError, TypeError) as error:
        raise RealismError(f"{index} is no pipeline's index: {type(error).__name__}: {error}") from error
    check_class(str(folder), found, classes)
    for part, kind in parts.items():
        wanted = isinstance(kind, list) and bool(kind) and kind[0] is not None
        if wanted and not (folder / part).is_dir():
            raise RealismError(f"{folder} is incomplete: its model_index.json names '{part}', which is not there")
        weights = list((folder / part).glob("*")) if wanted else []
        if any(w.suffix == ".bin" for w in weights) and not any(w.suffix == ".safetensors" for w in weights):
            raise RealismError(
                f"{folder / part} has weights as .bin only; only safetensors are read: convert them first"
            )


def check_class(model: str, found: str, classes: Sequence[str]) -> None:
    """Raises RealismError unless the pipeline class is one of these."""
    if found not in classes:
        raise RealismError(f"{model} is a {found}; expected {' or '.join(classes)}: use the part made for it")


def load_pipeline(
    name: str,
    also: Sequence[str],
    source: str | Path,
    *,
    revision: str | None,
    dtype: torch.dtype,
    components: Mapping[str, Any] | None = None,
) -> Any:
    """The pipeline of diffusers' class `name`, from a folder or a hub id, on the CPU.

    components: those that are already loaded. Raises RealismError if it is of another class than `name` or one of
    `also`, lacks files or weights, or cannot be downloaded.
    """
    import diffusers

    kind, available = getattr(diffusers, name), dict(components or {})
    if isinstance(source, Path):
        check_folder(source, (name, *also))
    folder = source if isinstance(source, Path) else _fetched(kind, source, revision, (name, *also), available)
    # not its `from_pretrained`, which loads components without reporting missing weights
    with loading_errors(source):
        given = kind.extract_init_dict(kind.load_config(folder))[0]
        parts = {part: available.pop(part, None) for part in kind._optional_components} | available
        for part, value in given.items():
            if not isinstance(value, (list, tuple)):
                parts[part] = value
            elif parts.get(part) is None:
                parts[part] = load_component(folder, part, value, dtype, f"component '{part}' of model '{source}'")
        pipeline = kind(**parts)
        pipeline.register_to_config(_name_or_path=str(folder))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def load_component(folder: Path, part: str, kind: Sequence[str | None], dtype: torch.dtype, whose: str) -> Any:
    """A component of a pipeline's folder, by its line in model_index.json: (library, class), or None for none.

    Raises RealismError for any but a class of transformers or diffusers."""
    library, name = kind
    if library is None or name is None:
        return None
    found = _class_of(library, name)
    if found is None:
        raise RealismError(
            f"{whose} is a {name} of '{library}', and code that comes with a model is not run; expected a model, "
            "scheduler, tokenizer or processor of diffusers or transformers"
        )
    if hasattr(found, "state_dict"):
        return load_model(found, folder / part, whose=whose, dtype=dtype)
    return load_without_weights(found, folder / part)


def _class_of(library: str, name: str) -> type | None:
    """The class of a line of model_index.json, if transformers or diffusers has it."""
    from diffusers import ModelMixin, SchedulerMixin
    from diffusers.pipelines.pipeline_loading_utils import simple_get_class_obj
    from transformers import (
        FeatureExtractionMixin,
        ImageProcessingMixin,
        PreTrainedModel,
        PreTrainedTokenizerBase,
        ProcessorMixin,
    )

    kinds = (ModelMixin, SchedulerMixin, FeatureExtractionMixin, ImageProcessingMixin)
    of_pipeline = library.isidentifier() and find_spec(f"diffusers.pipelines.{library}") is not None
    if library not in ("diffusers", "transformers") and not of_pipeline:
        return None
    found = simple_get_class_obj(library, name)
    known = isinstance(found, type) and issubclass(
        found, (*kinds, PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin)
    )
    return found if known else None


def _fetched(
    kind: Any, source: str, revision: str | None, classes: Sequence[str], available: Mapping[str, Any]
) -> Path:
    """The downloaded folder of a pipeline of the hub, without the components that are available."""
    with safe_loading(source):
        config = kind.load_config(source, revision=revision)
        check_class(source, config.get("_class_name", "unknown thing"), classes)
        return Path(kind.download(source, revision=revision, use_safetensors=True, **available))


def same_components(name: str, pipeline: Any) -> Any:
    """A pipeline of diffusers' class `name` on the components and settings of another."""
    import diffusers

    wanted = getattr(diffusers, name)
    # not diffusers' from_pipe, which casts the shared components again
    known = {**pipeline.config, **pipeline.components}
    other = wanted(**{k: known[k] for k in inspect.signature(wanted.__init__).parameters if k in known})
    other.set_progress_bar_config(disable=True)
    return other


def place_pipeline(pipeline: Any, device: torch.device, offload: str) -> Any:
    """The pipeline on its device. offload is none, model or sequential, and only matters on a GPU."""
    if offload == "none" or device.type == "cpu":
        return pipeline.to(device)
    if offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.enable_sequential_cpu_offload(device=device)
    return pipeline


def fitting_size(pipeline: Any, size: int | tuple[int, int] | None) -> tuple[int, int]:
    """Width and height in pixels, rounded down to multiples that the model accepts; None is the model's default."""
    width, height = natural_size(pipeline) if size is None else (size, size) if isinstance(size, int) else size
    multiple = size_multiple(pipeline)
    return max(multiple, width // multiple * multiple), max(multiple, height // multiple * multiple)


def natural_size(pipeline: Any) -> tuple[int, int]:
    """The model's default width and height in pixels: by its U-Net or token transformer if it has one, else by its
    autoencoder."""
    tokens = None if hasattr(pipeline, "vae") else pipeline.transformer
    network = getattr(pipeline, "unet", tokens)
    size, scale = (network.config.sample_size, pipeline.vae_scale_factor) if network else (None, 1)
    size = size or pipeline.vae.config.get("sample_size") or 1024
    width, height = (size, size) if isinstance(size, int) else (size[1], size[0])
    return width * scale, height * scale


def size_multiple(pipeline: Any) -> int:
    """Width and height must be multiples of this many pixels: the autoencoder's reduction times the 2 x 2 patches."""
    return int(pipeline.vae_scale_factor) * 2


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """torch's global random generators are seeded until the block ends, then restored."""
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield
