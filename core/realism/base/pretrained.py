"""What published models have in common: errors of loading, files, special tokens. No model is known here;
`realism.base.loading` loads them."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from realism.base.errors import RealismError


@contextlib.contextmanager
def loading_errors(source: str | Path) -> Iterator[None]:
    """Whatever goes wrong while a model is loaded from there becomes a RealismError of one sentence."""
    try:
        yield
    except RealismError:
        raise
    except Exception as error:
        where = (
            "the folder is damaged"
            if isinstance(source, Path)
            else "no such folder, or the hub has no such model or is out of reach"
        )
        raise RealismError(f"model '{source}' cannot be loaded ({where}): {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """The kind of an error and the first line of what it says."""
    return f"{type(error).__name__}: {(str(error).strip() or type(error).__name__).splitlines()[0]}"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No progress bars of transformers, nor of diffusers where it is in use, as the run has its own."""
    from transformers.utils import logging as transformers_logging

    logs = [transformers_logging]
    if "diffusers" in sys.modules:
        from diffusers.utils import logging as diffusers_logging

        logs.append(diffusers_logging)
    loud = [log for log in logs if log.is_progress_bar_enabled()]
    for log in loud:
        log.disable_progress_bar()
    try:
        yield
    finally:
        for log in loud:
            log.enable_progress_bar()


def weights_error(folder: Path) -> str | None:
    """One sentence if the folder holds no model of transformers, as far as its files' names and JSON tell."""
    if not isinstance(read_json(folder / "config.json").get("model_type"), str):
        return f"{folder} is no model of transformers: it has no config.json that names its model_type"
    if not any(folder.glob("*.safetensors")):
        if any(folder.glob("*.bin")):
            return f"{folder} has weights as .bin only; only safetensors are read: convert them first"
        return f"{folder} is incomplete: it has no weights (*.safetensors)"
    return None


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if there is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def special_tokens(reader: Any, tokenizer: Any) -> list[str]:
    """The tokens, written out, that no text of a user should become; reader is the model's processor or tokenizer."""
    added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    image = getattr(reader, "image_token", None)
    return [*added, image] if isinstance(image, str) else added


def break_special_tokens(text: str, special: Sequence[str]) -> str:
    """A text with a space inside each special token, so that it cannot end its message or show an absent image."""
    known = re.compile("|".join(re.escape(token) for token in sorted(special, key=len, reverse=True)) or "(?!)")
    return known.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
