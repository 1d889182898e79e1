"""`realism doctor`: whether this machine has what recipes need, each lack with its mend."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from rich.console import Console

from realism.base.errors import sentence
from realism.base.texts import plain_line, printable
from realism.plugins.manager import plugins

GIB = 2**30
POINTER = b"version https://git-lfs.github.com/spec/"
"""How a file begins that git has not fetched."""
HUB = "https://huggingface.co"
WAIT = 5.0
"""Seconds to wait for the hub."""
LITTLE_DISK = 10 * GIB
LIBRARIES = ("realism", "torch", "torchvision", "diffusers", "transformers", "peft", "open_clip_torch", "lightning")


@dataclass(frozen=True)
class Finding:
    """What a check found. "problem": something will fail; "note": something may."""

    state: Literal["ok", "note", "problem"]
    about: str
    text: str


def _python() -> Iterator[Finding]:
    fits = sys.version_info >= (3, 11)
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Finding("ok" if fits else "problem", "Python", text + ("" if fits else "; 3.11 or newer is needed"))


def _versions() -> Iterator[Finding]:
    """The libraries that Realism is declared to need."""
    for name in LIBRARIES:
        try:
            yield Finding("ok", name, version(name))
        except PackageNotFoundError:
            yield Finding("problem", name, "is not installed; pip install realism")


def _torchvision() -> Iterator[Finding]:
    """A torchvision that was built for another torch fails at import, and with it open_clip, peft and diffusers."""
    try:
        import torchvision  # noqa: F401
    except Exception as error:  # a broken extension raises what it likes
        mend = "install versions that were made for each other, as constraints.txt names them"
        yield Finding("problem", "torchvision", f"does not fit torch: {sentence(error)}; {mend}")


def _devices() -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(index)
            name = torch.cuda.get_device_name(index)
            yield Finding("ok", f"cuda:{index}", f"{name}, {free / GIB:.1f} of {total / GIB:.1f} GiB free")
    elif shutil.which("nvidia-smi"):
        yield Finding(
            "problem",
            "CUDA",
            f"there is an NVIDIA card, but torch {torch.__version__} does not reach it; install a torch built for CUDA "
            "and a driver that is not older than it",
        )
    else:
        yield Finding("note", "CUDA", "none: models run on the CPU, which is enough for the garden")


def _memory() -> Iterator[Finding]:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    if total:
        yield Finding("ok", "memory", f"{total / GIB:.1f} GiB, {os.cpu_count()} processors")


def _disk() -> Iterator[Finding]:
    from huggingface_hub.constants import HF_HUB_CACHE

    for about, folder in (("disk, runs", Path.cwd()), ("disk, models", Path(HF_HUB_CACHE))):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(there).free
        text = f"{free / GIB:.1f} GiB free at {folder}"
        if not os.access(there, os.W_OK):
            yield Finding("problem", about, f"{folder} cannot be written to; give yourself the right, or go elsewhere")
        elif free < LITTLE_DISK:
            yield Finding("note", about, f"{text}; a large model alone needs more than {LITTLE_DISK // GIB} GiB")
        else:
            yield Finding("ok", about, text)


def _extras() -> Iterator[Finding]:
    import importlib.util

    if importlib.util.find_spec("faiss") is None:
        mend = "pip install 'realism[cpu]', or 'realism[gpu]' on a machine with CUDA"
        yield Finding("problem", "faiss", f"is not installed, and retrievers search with it; {mend}")
    declared = [text for text in requires("realism") or () if "extra ==" in text]
    for extra in sorted({text.rpartition("==")[2].strip(" '\"") for text in declared} - {"dev", "cpu", "gpu"}):
        names = [text.split(";")[0] for text in declared if text.rpartition("==")[2].strip(" '\"") == extra]
        lacking = [name for name in names if not _installed(name)]
        text = f"lacks {', '.join(lacking)}; pip install 'realism[{extra}]'" if lacking else "installed"
        yield Finding("note" if lacking else "ok", f"extra {extra}", text)


def _installed(requirement: str) -> bool:
    from packaging.requirements import Requirement

    try:
        version(Requirement(requirement).name)
    except PackageNotFoundError:
        return False
    return True


def _models() -> Iterator[Finding]:
    """The weights that plugins ship: fetched, or pointers that git has left in their place."""
    for name, plugin, folder in _shipped():
        files = list(folder.rglob("*.safetensors"))
        if not files:
            yield Finding("problem", name, f"no weights in {folder}; install plugin '{plugin}' again")
        elif pointers := [path for path in files if _begins(path, POINTER)]:
            yield Finding("problem", name, f"{pointers[0]} is a pointer of git LFS; run 'git lfs pull'")
        else:
            yield Finding("ok", name, f"{sum(path.stat().st_size for path in files) / 2**20:.1f} MiB")


def _shipped() -> Iterator[tuple[str, str, Path]]:
    """The models that plugins registered: name, plugin, folder."""
    for entry in plugins().registry.entries("model"):
        yield entry.name, entry.plugin, entry.path()


def _begins(path: Path, start: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(start)) == start


def _plugins() -> Iterator[Finding]:
    for plugin in plugins().plugins:
        if not plugin.trouble:
            yield Finding("ok", f"plugin {plugin.name}", f"{plugin.distribution} {plugin.version}")
    for problem in plugins().problems:
        yield Finding("problem", "plugin", f"{problem}; mend or uninstall it")


def _hub() -> Iterator[Finding]:
    """Whether models can be fetched, and gated ones."""
    import httpx2
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        yield Finding("note", "hub", "HF_HUB_OFFLINE is set: only models that were fetched before, or lie in folders")
        return
    try:
        httpx2.head(HUB, timeout=WAIT)
    except Exception as error:  # any of a dozen classes, all of which mean the same
        yield Finding(
            "note",
            "hub",
            f"{HUB} cannot be reached ({plain_line(str(error), 200)}); name models by their folders on this machine",
        )
        return
    text = "reached, logged in" if get_token() else "reached; not logged in, which gated models need: hf auth login"
    yield Finding("ok" if get_token() else "note", "hub", text)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _python, _versions, _torchvision, _devices, _memory, _disk, _extras, _plugins, _models, _hub,
)  # fmt: skip


def findings() -> Iterator[Finding]:
    """All that is found, check by check. A check that fails is itself a problem, and the others go on."""
    for check in CHECKS:
        try:
            yield from check()
        except Exception as error:
            yield Finding("problem", check.__name__.strip("_"), f"could not be checked: {sentence(error)}")


def diagnose() -> int:
    """Print what is found; the number of problems."""
    console, problems = Console(highlight=False, soft_wrap=True), 0
    marks = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}
    for finding in findings():
        problems += finding.state == "problem"
        console.print(printable(f"{marks[finding.state]}  {finding.about:18}  {finding.text}"), markup=False)
    summary = f"{problems} problem{'s' * (problems != 1)}" if problems else "no problems"
    console.print(f"{summary} on this machine", markup=False)
    return problems
