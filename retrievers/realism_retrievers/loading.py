"""OpenCLIP models from folders, names and the hub: no pickles, no remote code, and sentences when it fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from realism.base.devices import pick_device, pick_dtype
from realism.base.errors import RealismError, nearest
from realism.base.files import user_path
from realism.base.openclip import HUB, LOCAL, check_openclip_folder, load_openclip
from realism.base.pixels import Preprocessing
from realism.plugins.models import find_model

if TYPE_CHECKING:
    import torch
    from PIL import Image

QUICK = "-quickgelu"
"""How OpenCLIP's names of architectures that compute with QuickGELU end."""
TRAINED_QUICK = {
    "openai", "metaclip_400m", "metaclip_fullcc", "dfn2b", "dfn5b", "yfcc15m", "cc12m", "ViT-B-32/laion400m_e31",
    "ViT-B-32/laion400m_e32", "ViT-H-14-worldwide/metaclip2_worldwide",
}  # fmt: skip
"""Weights of OpenCLIP that were trained with QuickGELU, to be known without its table: a test compares them."""


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

    def longer(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text has more tokens than are read of it. Whatever the tokenizer does then, it gives another
        beginning, or no padding behind it, where there is room for one more."""
        if not texts:
            return []
        read, most = self.tokenizer, self.tokenizer.context_length
        cut, roomier = read(list(texts)), read(list(texts), context_length=most + 1)
        padding = read([""], context_length=most + 1)[0, -1]
        return ((roomier[:, :most] != cut).any(1) | (roomier[:, -1] != padding)).tolist()  # type: ignore[no-any-return]

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
    """One sentence if the model is a folder that cannot be read as one of OpenCLIP, or is not to be found, or computes
    otherwise than it was trained; quick, as OpenCLIP is not imported."""
    try:
        source = _source(name)
        if isinstance(source, Path):
            check_openclip_folder(source)
        elif not source.startswith(HUB):
            architecture, _, weights = source.partition("/")
            trained = weights in TRAINED_QUICK or source in TRAINED_QUICK
            if trained and not architecture.endswith(QUICK):
                return _mismatch(name, False, f"{architecture}{QUICK}/{weights}")
    except RealismError as error:
        return str(error)
    return None


def _mismatch(name: str, quick: bool, right: str) -> str:
    """quick: whether the model computes with QuickGELU."""
    ours, theirs = ("QuickGELU", "GELU") if quick else ("GELU", "QuickGELU")
    return f"model '{name}' computes with {ours} what was trained with {theirs}, which gives other rows; use '{right}'"


def load(name: str, device: str, dtype: str) -> Loaded:
    """The model of that name (see `OpenClip.model`). Raises RealismError in words when it cannot be had."""
    place = pick_device(device)
    kind = pick_dtype(dtype, place)
    model, preprocess, tokenizer = load_openclip(name, *_place(name))
    model = model.eval().requires_grad_(False).to(place, kind)
    return Loaded(model, preprocess, tokenizer, place, kind, _describe(model))


def _place(name: str) -> tuple[str | Path, str | None]:
    """Where `load_openclip` finds the model: a folder or hub id, or an architecture and the tag of its weights."""
    source = _source(name)
    return (source, None) if isinstance(source, Path) or source.startswith(HUB) else _architecture(source)


def _source(name: str) -> str | Path:
    if name.startswith(HUB):
        return name
    if name.startswith(LOCAL):
        folder = user_path(name.removeprefix(LOCAL))
        if not folder.is_dir():
            raise RealismError(f"no model folder '{folder}'")
        return folder
    return find_model(name)


def _architecture(name: str) -> tuple[str, str]:
    """An architecture and a tag. Raises RealismError unless there are such, and they belong together."""
    import open_clip

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
            f"model '{name}': {architecture} has no weights '{weights}'{nearest(weights, tags)}; available: "
            f"{', '.join(tags) or 'none'}"
        )
    if (right := _as_trained(architecture, weights)) != architecture:
        raise RealismError(_mismatch(name, quick_gelu(architecture), f"{right}/{weights}"))
    return architecture, weights


def quick_gelu(architecture: str) -> bool:
    """Whether an architecture of OpenCLIP computes with QuickGELU, x sigmoid(1.702 x), in place of GELU."""
    import open_clip

    return bool((open_clip.get_model_config(architecture) or {}).get("quick_gelu"))


def _as_trained(architecture: str, weights: str) -> str:
    """The architecture with the activation that these weights were trained with, if there is one."""
    import open_clip

    trained = bool(open_clip.get_pretrained_cfg(architecture, weights).get("quick_gelu"))
    other = architecture.removesuffix(QUICK) if architecture.endswith(QUICK) else f"{architecture}{QUICK}"
    available = weights in open_clip.list_pretrained_tags_by_model(other)
    return other if quick_gelu(architecture) != trained and available and quick_gelu(other) == trained else architecture


def _unit_rows(features: torch.Tensor) -> list[np.ndarray]:
    import torch

    return list(torch.nn.functional.normalize(features.float(), dim=-1).cpu().numpy())


def _describe(model: Any) -> str:
    import open_clip

    config = open_clip.get_model_preprocess_cfg(model)
    size = config.get("size")
    side = " x ".join(str(s) for s in size) if isinstance(size, (list, tuple)) else f"{size} x {size}"
    return f"resize {config.get('resize_mode')} {config.get('interpolation')} to {side}, PIL 8 bits, antialiased"
