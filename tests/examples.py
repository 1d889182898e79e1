"""Options for the registered parts that need some, so that each can be put through its family's suite.

A part that works with its defaults needs no line here. Models are tiny and random, of the real classes.
"""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import tiny

ENCODER = "encoder"


@functools.cache
def folder() -> Path:
    """A folder for this session's models and images."""
    made = tempfile.TemporaryDirectory(prefix="realism-examples-")
    _kept.append(made)
    return Path(made.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []


@functools.cache
def flux() -> str:
    return str(tiny.flux_folder(folder() / "flux"))


@functools.cache
def kontext() -> str:
    return str(tiny.flux_folder(folder() / "kontext", kontext=True))


@functools.cache
def clip() -> str:
    return str(tiny.openclip_folder(folder() / "clip"))


@functools.cache
def photos() -> str:
    return str(tiny.image_folder(folder() / "photos", ("subject 0", "subject 1")))


@functools.cache
def prompt_file() -> str:
    path = folder() / "prompts.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("a rose", "sand")))
    return str(path)


def openclip() -> dict[str, Any]:
    return {"use": "openclip", "model": clip(), "device": "cpu"}


def options(name: str) -> dict[str, Any]:
    """The options of the registered part of that name; none if it is not listed."""
    drawing = {"dtype": "float32", "device": "cpu", "steps": 2}
    table = {
        "flux": lambda: {"model": flux(), **drawing},
        "flux-kontext": lambda: {"model": kontext(), **drawing},
        "openclip": lambda: {"model": clip(), "device": "cpu"},
        "clip_t": lambda: {ENCODER: openclip()},
        "clip_i": lambda: {ENCODER: openclip()},
        "clip_i_real": lambda: {ENCODER: openclip(), "real": {"use": "image_folder", "path": photos()}},
        "kid": lambda: {ENCODER: openclip()},
        "fid": lambda: {ENCODER: openclip()},
        "image_folder": lambda: {"path": photos()},
        "prompt_file": lambda: {"path": prompt_file()},
        "classes": lambda: {"images": {"use": "image_folder", "path": photos()}},
    }
    return table[name]() if name in table else {}
