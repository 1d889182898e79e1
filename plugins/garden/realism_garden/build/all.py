"""Builds miniatures one after the other, with a bar that says how long it still takes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

MINUTES = {
    "autoencoder": 12.0,
    "flux": 60.0,
    "decoder": 4.0,
    "clip": 5.0,
    "judge": 7.0,
    "unet": 30.0,
    "vqa": 16.0,
    "aesthetic": 14.0,
    "writer": 12.0,
}


def build_all(names: Sequence[str], out: Path, seed: int, minutes: float | None, steps: int | None) -> None:
    """Builds each named miniature into ``out / name``; flux reads with a judge that must be built before or shipped."""
    from .cards import write_card

    console = Console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:

        def reporter(label: str) -> Callable[[float, int], None]:
            task = progress.add_task(label, total=1.0)
            return lambda share, step: progress.update(task, completed=share)

        for name in names:
            figures = _BUILDERS[name](out, seed, minutes, steps, reporter)
            write_card(out / name, name, seed, figures)
            console.print(f"{name}: {figures}")


def _time(part: str, minutes: float | None) -> float:
    """The minutes of a part: its own, or its share of those given for the whole of flux."""
    whole = sum(MINUTES[k] for k in ("autoencoder", "flux", "decoder"))
    if minutes is None:
        return MINUTES[part]
    return minutes * MINUTES[part] / whole if part in ("autoencoder", "flux", "decoder") else minutes


def _flux(out: Path, seed: int, minutes: float | None, steps: int | None, reporter: Callable) -> dict:
    from . import autoencoder, decoder, flux

    small = {"known": 180, "other": 160} if steps else {}
    with tempfile.TemporaryDirectory() as scratch:
        vae = Path(scratch) / "vae"
        seen = autoencoder.build(vae, seed, _time("autoencoder", minutes), steps, reporter("autoencoder"))
        reader = _built(out, "judge", "reader.safetensors")
        drawn = flux.build(
            out / "flux", vae, reader, seed, _time("flux", minutes), steps, report=reporter("flux"),
            scratch=Path(scratch), compiled=not steps, **small,
        )  # fmt: skip
        sharper = decoder.build(out / "flux" / "vae", seed, _time("decoder", minutes), steps, reporter("decoder"))
    return {"autoencoder": seen, "decoder": sharper, "transformer": drawn}


def _clip(out: Path, seed: int, minutes: float | None, steps: int | None, reporter: Callable) -> dict:
    from . import clip
    from .sheets import nearest_sheet, save_small

    small = {"pool_size": 480} if steps else {}
    seen = clip.build(out / "clip", seed, _time("clip", minutes), steps, report=reporter("clip"), **small)
    save_small(nearest_sheet(out / "clip", seed), out / "clip" / "grid.png")
    return {"encoder": seen}


def _judge(out: Path, seed: int, minutes: float | None, steps: int | None, reporter: Callable) -> dict:
    from . import clip, judge
    from .sheets import nearest_sheet, save_small

    pool = 480 if steps else clip.POOL
    seen = judge.build(out / "judge", seed, _time("judge", minutes), steps, pool, reporter("judge"))
    save_small(nearest_sheet(out / "judge", seed), out / "judge" / "grid.png")
    return seen


def _unet(out: Path, seed: int, minutes: float | None, steps: int | None, reporter: Callable) -> dict:
    from . import unet

    small = {"pool": 180, "naming_steps": 2, "each": 1, "drawing_steps": 2} if steps else {}
    vae = _built(out, "flux/vae", "diffusion_pytorch_model.safetensors")
    reader = _built(out, "judge", "reader.safetensors")
    return unet.build(out / "unet", vae, reader, seed, _time("unet", minutes), steps, report=reporter("unet"), **small)


def _vqa(out: Path, seed: int, minutes: float | None, steps: int | None, reporter: Callable) -> dict:
    from . import vqa
    from .sheets import save_small

    small = {"renders": 80, "worn": 8, "n": 4, "drawn": 1} if steps else {}
    clip, flux = _built(out, "clip", "open_clip_model.safetensors"), _built(out, "flux", "model_index.json")
    judge = _built(out, "judge", "reader.safetensors")
    seen = vqa.build(
        out / "vqa", seed, _time("vqa", minutes), steps, report=reporter("vqa"), clip=clip, flux=flux, judge=judge,
        **small,
    )  # fmt: skip
    save_small(vqa.answered_sheet(out / "vqa", seed, flux), out / "vqa" / "grid.png")
    return seen


def _aesthetic(out: Path, seed: int, minutes: float | None, steps: int | None, reporter: Callable) -> dict:
    from . import aesthetic
    from .sheets import save_small

    small = {"renders": 80, "worn": 8, "n": 4, "drawn": 2} if steps else {}
    clip, flux = _built(out, "clip", "open_clip_model.safetensors"), _built(out, "flux", "model_index.json")
    seen = aesthetic.build(
        out / "aesthetic", seed, _time("aesthetic", minutes), steps, report=reporter("aesthetic"), clip=clip, flux=flux,
        **small,
    )  # fmt: skip
    save_small(aesthetic.ranked_sheet(out / "aesthetic", seed, flux), out / "aesthetic" / "grid.png")
    return seen


def _writer(out: Path, seed: int, minutes: float | None, steps: int | None, reporter: Callable) -> dict:
    from . import writer

    small: dict[str, Any] = {"texts": 400, "each": 1, "n": 4, "longest": 8} if steps else {}
    return writer.build(out / "writer", seed, _time("writer", minutes), steps, report=reporter("writer"), **small)


def _built(out: Path, name: str, file: str) -> Path:
    """The folder of a miniature among those built, or else of the one shipped."""
    return out / name if (out / name / file).exists() else Path(__file__).parents[1] / "models" / name


_BUILDERS = {
    "flux": _flux,
    "clip": _clip,
    "judge": _judge,
    "unet": _unet,
    "vqa": _vqa,
    "aesthetic": _aesthetic,
    "writer": _writer,
}
