"""The one place where models, tokenizers and weights are loaded: no code of theirs is run, nothing is unpickled, and
what is missing or damaged is reported. No model is known here."""

from __future__ import annotations

import contextlib
import pickle
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realism.base.errors import RealismError
from realism.base.machine import is_machine_error
from realism.base.pretrained import loading_errors, quiet, read_json

if TYPE_CHECKING:
    import torch

IMPORTERS = ("transformers.dynamic_module_utils", "diffusers.utils.dynamic_modules_utils")
"""The modules of both libraries that import the code of models, by their `get_class_in_module`."""
DESCRIBING = ("config.json", "adapter_config.json", "*.safetensors.index.json")
"""The files that say which others are weights."""


def load_model(
    kind: Any, source: str | Path, *, revision: str | None = None, whose: str = "", **options: Any
) -> torch.nn.Module:
    """The model of a class of transformers or diffusers, on the CPU, from the safetensors in a folder or of a hub id.

    options: more for its `from_pretrained`, such as dtype. whose: what sentences call it, "model 'SOURCE'" by default.
    Raises RealismError if it would run code, if weights are missing, which the libraries would make up, or if some are
    not finite.
    """
    whose = whose or f"model '{source}'"
    with safe_loading(source):
        check_files(source if isinstance(source, Path) else _descriptions(source, revision), whose)
        model, found = kind.from_pretrained(
            str(source), use_safetensors=True, output_loading_info=True, **_place(kind, source, revision), **options
        )
        if missing := sorted(found["missing_keys"]):
            raise RealismError(
                f"{whose} lacks {len(missing)} of its weights, such as {missing[0]}; it is incomplete, or its "
                "config.json belongs to another model"
            )
        check_finite(model.state_dict(), whose)
        return model


def load_without_weights(kind: Any, source: str | Path, *, revision: str | None = None, **options: Any) -> Any:
    """A tokenizer, processor, scheduler or configuration, of a class of transformers or diffusers, from a folder or a
    hub id. options: more for its `from_pretrained`. Raises RealismError if it would run code."""
    with safe_loading(source):
        return kind.from_pretrained(str(source), **_place(kind, source, revision), **options)


def model_type(source: str | Path, revision: str | None = None) -> str:
    """The `model_type` of a model's configuration, whether or not transformers knows it."""
    from transformers import PreTrainedConfig

    with safe_loading(source):
        return str(
            PreTrainedConfig.get_config_dict(str(source), **_place(PreTrainedConfig, source, revision))[0].get(
                "model_type"
            )
        )


def read_tensors(file: Path, name: str = "") -> dict[str, torch.Tensor]:
    """The tensors of a file by name, on the CPU: .safetensors, or what torch saved, read with weights_only=True.

    A dictionary under "state_dict" is taken, if there is one. name: what sentences call the file. Raises RealismError
    if it holds anything else, is damaged, or some are not finite."""
    from safetensors.torch import load_file

    with loading_errors(file):
        found = load_file(file) if file.suffix == ".safetensors" else _torch_saved(file)
    check_finite(found, f"weights '{name or file}'")
    return found


def is_intact(file: Path) -> bool:
    """Whether a file of safetensors has a header, and the size that this states; no tensor is read. Raises OSError
    where the machine cannot read it."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "numpy"):
            return True
    except (SafetensorError, OSError) as error:
        if is_machine_error(error):
            raise
        return False


def check_finite(tensors: Mapping[str, torch.Tensor], whose: str) -> None:
    """Raises RealismError if a tensor holds NaN or an infinity. whose: what the sentence calls their owner."""
    if name := not_finite(tensors):
        raise RealismError(f"{whose} has numbers that are not finite in {name}; it is damaged: download it again")


def not_finite_in(file: Path) -> str | None:
    """The name of the first tensor of a .safetensors file that holds NaN or an infinity, None if none does."""
    from safetensors.torch import load_file

    with loading_errors(file):
        return not_finite(load_file(file))


def not_finite(tensors: Mapping[str, torch.Tensor]) -> str | None:
    """The name of the first tensor that holds NaN or an infinity, None if none does."""
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or tensor.is_meta or not tensor.numel():
            continue
        values = tensor if tensor.itemsize > 1 else tensor.float()
        # thirty times as fast as isfinite().all(), and NaN goes through to both
        if not all(bool(end.isfinite()) for end in values.aminmax()):
            return name
    return None


@contextlib.contextmanager
def safe_loading(source: str | Path) -> Iterator[None]:
    """Until the block ends, no library imports code that a model brings, nor asks on the terminal whether it may,
    whatever files of the model say; libraries are quiet, and what goes wrong is a RealismError of one sentence."""
    from transformers import dynamic_module_utils as asking

    sentence = (
        f"model '{source}' brings Python code of its own, which is not run; choose one that transformers or diffusers "
        "knows by itself"
    )

    def refuse(*_: Any, **__: Any) -> Any:
        raise RealismError(sentence)

    with quiet(), loading_errors(source), contextlib.ExitStack() as after:
        for module in (sys.modules[name] for name in IMPORTERS if name in sys.modules):
            _put(after, module, "get_class_in_module", refuse)
        _put(after, asking, "TIME_OUT_REMOTE_CODE", 0)  # seconds that transformers waits for an answer: it asks nothing
        try:
            yield
        except ValueError as error:
            if "trust_remote_code" in str(error):
                raise RealismError(sentence) from error
            raise


def check_files(folder: Path, whose: str) -> None:
    """Raises RealismError if files of a model say that something else belongs to it than safetensors beside them."""
    if (folder / "adapter_config.json").is_file():
        raise RealismError(
            f"{whose} has an adapter of peft beside it (adapter_config.json), which would change it or name another "
            "model; merge the adapter into its model first, or remove that file"
        )
    for index in sorted(folder.glob("*.safetensors.index.json")):
        named = read_json(index).get("weight_map")
        for file in sorted(set(map(str, named.values()))) if isinstance(named, dict) else [""]:
            if Path(file).name != file or not file.endswith(".safetensors"):
                raise RealismError(
                    f"{whose}: {index.name} names '{file}'; only .safetensors that lie beside it are read"
                )
    if kernel := _kernel(read_json(folder / "config.json")):
        raise RealismError(
            f"{whose}: config.json asks for the compiled code '{kernel}' of the hub, which is not run; remove that line"
        )


def _kernel(config: Any) -> str | None:
    """The hub id of a kernel that a configuration, or one within it, asks for."""
    if not isinstance(config, dict):
        return None
    for key, value in config.items():
        asked = value.values() if isinstance(value, dict) else [value]
        if key.strip("_").startswith(("attn_implementation", "experts_implementation")):
            if named := next((str(name) for name in asked if "/" in str(name)), None):
                return named
        elif found := _kernel(value):
            return found
    return None


def _descriptions(source: str, revision: str | None) -> Path:
    """A folder with the files of a hub id that `check_files` reads."""
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(source, revision=revision, allow_patterns=list(DESCRIBING)))


def _place(kind: Any, source: str | Path, revision: str | None) -> dict[str, Any]:
    """The options of `from_pretrained` for the place of a model, and against running its code."""
    place = {"local_files_only": True} if isinstance(source, Path) else {"revision": revision}
    return place if kind.__module__.startswith("diffusers.") else {"trust_remote_code": False, **place}


def _torch_saved(file: Path) -> dict[str, torch.Tensor]:
    import torch

    try:
        with warnings.catch_warnings():  # of what is refused anyway
            warnings.simplefilter("ignore", UserWarning)
            found = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise RealismError(
            f"{file} holds more than weights, and is not read, as that could run code; save its state dict "
            "as safetensors"
        ) from error
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise RealismError(f"{file} is no state dict: expected names of weights and their tensors")
    return found


def _put(after: contextlib.ExitStack, module: Any, name: str, value: Any) -> None:
    after.callback(setattr, module, name, getattr(module, name))
    setattr(module, name, value)
