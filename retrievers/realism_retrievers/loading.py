"""OpenCLIP models from folders, names and the hub: no pickles, no remote code, and sentences when it fails."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from realism.base.devices import pick_device, pick_dtype
from realism.base.errors import RealismError, nearest
from realism.base.pixels import Preprocessing
from realism.plugins.models import find_model

if TYPE_CHECKING:
    import torch
    from PIL import Image

HUB = "hf-hub:"
LOCAL = "local-dir:"


@dataclass(frozen=True)
class Loaded:
    """A model with its own preprocessing and tokenizer, on its device."""

    model: Any
    preprocess: Any
    tokenizer: Any
    device: torch.device
    dtype: torch.dtype
    preprocessing: str

    def pixels(self, image: Image.Image) -> torch.Tensor:
        """An RGB image of any size -> (3, h, w) float32, as the model expects it."""
        return self.preprocess(image)

    def image_rows(self, pixels: Sequence[torch.Tensor]) -> list[np.ndarray]:
        """Images (3, h, w) -> their rows (d,) float32, each of length 1."""
        import torch

        with torch.inference_mode():
            batch = torch.stack(list(pixels)).to(self.device, self.dtype, non_blocking=True)
            return _unit_rows(self.model.encode_image(batch))

    def pixel_rows(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels (n, 3, H, W) in [0, 1] -> rows (n, d) float32, each of length 1, with a gradient to the pixels."""
        from torch.nn.functional import normalize

        prepared = self._preprocessing().of_pixels(pixels.to(self.device))
        return normalize(self.model.encode_image(prepared.to(self.dtype)).float(), dim=-1)

    def text_rows(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Texts -> their rows (d,) float32, each of length 1."""
        import torch

        with torch.inference_mode():
            return _unit_rows(self.model.encode_text(self.tokenizer(list(texts)).to(self.device)))

    def stack(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """Rows (d,) -> (n, d) float32; (0, d) if there is none."""
        if rows:
            return np.stack(rows)
        return np.empty((0, len(self.text_rows([""])[0])), np.float32)

    def _preprocessing(self) -> Preprocessing:
        """What `preprocess` does, in a form that also has a gradient."""
        import open_clip

        config = open_clip.get_model_preprocess_cfg(self.model)
        size, resize = config["size"], config.get("resize_mode", "shortest")
        sides = set(size) if isinstance(size, (list, tuple)) else {size}
        if len(sides) != 1 or resize not in ("shortest", "squash"):
            raise RealismError(
                f"a model that takes images of size {size}, resized by '{resize}', gives no gradient to pixels here; "
                "expected a square size, and 'shortest' or 'squash'"
            )
        kernel: Literal["bicubic", "bilinear"] = "bilinear" if config.get("interpolation") == "bilinear" else "bicubic"
        return Preprocessing(sides.pop(), tuple(config["mean"]), tuple(config["std"]), resize, kernel)


def model_error(name: str) -> str | None:
    """One sentence if the model is a folder that cannot be read as one of OpenCLIP, or is not to be found."""
    try:
        source = _source(name)
        if isinstance(source, Path):
            _check_folder(source)
    except RealismError as error:
        return str(error)
    return None


def load(name: str, device: str, dtype: str) -> Loaded:
    """The model of that name (see `OpenClip.model`). Raises RealismError in words when it cannot be had."""
    import open_clip

    source = _source(name)
    weights = None
    if isinstance(source, Path):
        _check_folder(source)
        full = f"{LOCAL}{source}"
    elif source.startswith(HUB):
        full = source
    else:
        full, weights = _architecture(source, open_clip)
    place = pick_device(device)
    kind = pick_dtype(dtype, place)
    try:
        # the weights are asked for here, so none that a tower might want by itself are fetched
        model, _, preprocess = open_clip.create_model_and_transforms(full, pretrained=weights, pretrained_text=False)
        tokenizer = _tokenizer(full, open_clip)
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        where = "the folder is damaged" if isinstance(source, Path) else "no such model, or the hub is out of reach"
        raise RealismError(f"model '{name}' cannot be loaded ({where}): {type(error).__name__}: {first}") from error
    model = model.eval().requires_grad_(False).to(place, kind)
    return Loaded(model, preprocess, tokenizer, place, kind, _describe(open_clip, model))


def _source(name: str) -> str | Path:
    if name.startswith(HUB):
        return name
    if name.startswith(LOCAL):
        folder = Path(name.removeprefix(LOCAL)).expanduser()
        if not folder.is_dir():
            raise RealismError(f"no model folder '{folder}'")
        return folder
    return find_model(name)


def _check_folder(folder: Path) -> None:
    """Raises RealismError unless the folder has OpenCLIP's configuration and safetensors."""
    config = folder / "open_clip_config.json"
    if not config.is_file():
        raise RealismError(f"{folder} is no OpenCLIP model: it has no open_clip_config.json")
    try:
        read = json.loads(config.read_text(encoding="utf-8"))
        known = isinstance(read["model_cfg"], dict)
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise RealismError(f"{config} is no OpenCLIP configuration: it has no object 'model_cfg'")
    if not any(folder.glob("*.safetensors")):
        raise RealismError(f"{folder} has no weights as .safetensors; nothing else is read")


def _architecture(name: str, open_clip: Any) -> tuple[str, str]:
    architecture, _, weights = name.partition("/")
    names = open_clip.list_models()
    if architecture not in names:
        raise RealismError(
            f"no OpenCLIP model '{name}'{nearest(architecture, names)}; expected a folder, a shipped model, "
            "'hf-hub:owner/name' or an OpenCLIP name with its weights, such as 'ViT-B-32/laion2b_s34b_b79k'"
        )
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if weights not in tags:
        raise RealismError(
            f"model '{name}': {architecture} has no weights '{weights}'{nearest(weights, tags)}; there are: "
            f"{', '.join(tags) or 'none'}"
        )
    return architecture, weights


def _tokenizer(full: str, open_clip: Any) -> Any:
    """The model's tokenizer. A configuration may ask for remote code: that is refused."""
    try:
        return open_clip.get_tokenizer(full, trust_remote_code=False)
    except TypeError:  # OpenCLIP's own tokenizers know no such option
        return open_clip.get_tokenizer(full)


def _unit_rows(features: torch.Tensor) -> list[np.ndarray]:
    import torch

    return list(torch.nn.functional.normalize(features.float(), dim=-1).cpu().numpy())


def _describe(open_clip: Any, model: Any) -> str:
    config = open_clip.get_model_preprocess_cfg(model)
    size = config.get("size")
    side = " x ".join(str(s) for s in size) if isinstance(size, (list, tuple)) else f"{size} x {size}"
    return f"resize {config.get('resize_mode')} {config.get('interpolation')} to {side}, PIL 8 bits, antialiased"
