"""Safe loading of models of OpenCLIP, whose configuration may name models and code elsewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from realism.base.errors import RealismError
from realism.base.loading import check_finite, read_tensors, safe_loading

CONFIG = "open_clip_config.json"
HUB, LOCAL = "hf-hub:", "local-dir:"
FIRST = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")
"""What OpenCLIP reads before any pickle in the same folder."""
PICKLES = (".bin", ".pth")
"""The other endings that OpenCLIP takes for weights in a folder."""
ELSEWHERE = (("vision_cfg", "timm_model_name"), ("text_cfg", "hf_model_name"), ("text_cfg", "hf_tokenizer_name"))
"""What a configuration names of other libraries."""
NAMED = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
TOKENIZER_OPTIONS = ("clean", "strip_sep_token", "language")
"""What a configuration may ask of its tokenizer."""


def load_openclip(name: str, source: str | Path, tag: str | None = None) -> tuple[Any, Any, Any]:
    """A model of OpenCLIP on the CPU, what prepares its images, and its tokenizer.

    name: what sentences call it. source: a folder, 'hf-hub:owner/name', or with a tag the name of an architecture.
    Raises RealismError in words when it cannot be had, would run code, or has numbers that are not finite."""
    import open_clip

    full = f"{LOCAL}{source}" if isinstance(source, Path) else source
    with safe_loading(source if isinstance(source, Path) else name):
        if isinstance(source, Path):
            check_openclip_folder(source)
        config = open_clip.get_model_config(full)
        check_openclip_config(config, f"model '{name}'")
        if not isinstance(source, Path):
            _check_fetched(source, tag)
        # the weights are asked for here, so none that a tower might want by itself are fetched
        model, _, preprocess = open_clip.create_model_and_transforms(full, pretrained=tag, pretrained_text=False)
        check_finite(model.state_dict(), f"model '{name}'")
        # other tokenizers than those of transformers run no code, and know no such option
        safe = {"trust_remote_code": False} if config["text_cfg"].get("hf_tokenizer_name") else {}
        return model, preprocess, open_clip.get_tokenizer(full, **safe)


def build_openclip(config: dict[str, Any], name: str) -> Any:
    """An OpenCLIP model of a configuration, with weights that mean nothing. name: what sentences call it.

    Raises RealismError if the configuration is none, or would fetch anything."""
    import open_clip

    with safe_loading(name):
        check_openclip_config(config, f"model '{name}'")
        vision = {**config["vision_cfg"], "timm_model_pretrained": False}
        text = {**config["text_cfg"], "hf_model_pretrained": False}
        return open_clip.CLIP(**{**config, "vision_cfg": vision, "text_cfg": text})


def check_openclip_folder(folder: Path) -> None:
    """Raises RealismError unless the folder has OpenCLIP's configuration, and safetensors that OpenCLIP will read."""
    file = folder / CONFIG
    if not file.is_file():
        raise RealismError(f"{folder} is no OpenCLIP model: it has no {CONFIG}")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))["model_cfg"]
    except (ValueError, KeyError, TypeError):
        config = None
    if not isinstance(config, dict):
        raise RealismError(f"{file} is no OpenCLIP configuration: it has no object 'model_cfg'")
    check_openclip_config(config, str(folder))
    if not any(folder.glob("*.safetensors")):
        raise RealismError(f"{folder} has no weights as .safetensors; nothing else is read")
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if pickles and not any((folder / name).is_file() for name in FIRST):
        raise RealismError(
            f"{folder} has no {FIRST[0]}, and OpenCLIP might read {pickles[0]}, which could run code; give the "
            f"safetensors the name {FIRST[0]}, or remove {pickles[0]}"
        )


def check_openclip_config(config: Any, whose: str) -> None:
    """Raises RealismError if a configuration is none of OpenCLIP, or names what could lie or run anywhere."""
    if not isinstance(config, dict) or not all(isinstance(config.get(f"{t}_cfg"), dict) for t in ("vision", "text")):
        raise RealismError(f"{whose} has no configuration of OpenCLIP: expected objects 'vision_cfg' and 'text_cfg'")
    for tower, key in ELSEWHERE:
        value = config[tower].get(key)
        if value is not None and not (isinstance(value, str) and (not value or NAMED.fullmatch(value))):
            raise RealismError(f"{whose}: {tower}.{key} is '{value}'; expected a plain name or 'owner/name'")
    asked = config["text_cfg"].get("tokenizer_kwargs") or {}
    if odd := sorted(set(asked) - set(TOKENIZER_OPTIONS)) if isinstance(asked, dict) else [str(asked)]:
        raise RealismError(
            f"{whose}: text_cfg.tokenizer_kwargs asks for '{odd[0]}', which is not passed on; allowed are "
            f"{', '.join(TOKENIZER_OPTIONS)}"
        )


def _check_fetched(source: str, tag: str | None) -> None:
    """Raises RealismError if what OpenCLIP fetches and reads is a pickle of more than weights."""
    import open_clip

    if tag is None:
        from open_clip.pretrained import download_pretrained_from_hf

        file = Path(download_pretrained_from_hf(source.removeprefix(HUB)))
    else:
        file = Path(open_clip.download_pretrained(open_clip.get_pretrained_cfg(source, tag)))
    if file.suffix not in (".safetensors", ".npz"):
        read_tensors(file)
