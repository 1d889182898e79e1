"""The commands `realism garden build`, `realism garden photos` and `realism garden show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The procedural garden and its miniature models.", no_args_is_help=True, rich_markup_mode=None)
MODELS = Path(__file__).parent / "models"
MINIATURES = ("flux", "clip", "judge", "vqa", "aesthetic", "unet", "writer")
ORDER = ("judge", "clip", "flux", "vqa", "aesthetic", "unet", "writer")  # of building: each may need the ones before it
NOVEL = "fritillary,sunflower,tigerlily"


@app.command()
def build(
    names: Annotated[
        list[str] | None, typer.Argument(help=f"Which miniatures: {', '.join(MINIATURES)}; all if none.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of data and training.")] = 0,
    minutes: Annotated[float | None, typer.Option(help="Minutes each, instead of what the cards say.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps instead of minutes, for a quick try.")] = None,
    out: Annotated[Path, typer.Option(help="Where the folders go.")] = MODELS,
) -> None:
    """Train miniatures from a seed and write their folders, each with a card."""
    unknown = [n for n in names or () if n not in MINIATURES]
    if unknown:
        typer.echo(f"realism: no miniature '{unknown[0]}'; available: {', '.join(MINIATURES)}", err=True)
        raise typer.Exit(2)
    if (steps is not None and steps < 1) or (minutes is not None and minutes <= 0):
        typer.echo("realism: --steps and --minutes should be above 0", err=True)
        raise typer.Exit(2)
    from .build.all import build_all

    build_all(sorted(names or MINIATURES, key=ORDER.index), out, seed, minutes, steps)


@app.command()
def photos(
    folder: Annotated[Path, typer.Argument(help="Photographs: train/ and test/, each with a folder a species.")],
    out: Annotated[Path, typer.Argument(help="Where the folders flux, clip and judge go.")],
    novel: Annotated[str, typer.Option(help="Species held out of the generator, by comma.")] = NOVEL,
    seed: Annotated[int, typer.Option(help="The seed of data and training.")] = 0,
    minutes: Annotated[float, typer.Option(help="Minutes for all, on two quiet cores.")] = 55,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps instead of minutes, for a quick try.")] = None,
) -> None:
    """Train the miniatures on photographs, starting from the garden's; begun again, it keeps what is finished."""
    if (steps is not None and steps < 1) or minutes <= 0:
        typer.echo("realism: --steps and --minutes should be above 0", err=True)
        raise typer.Exit(2)
    from .build.photos import build_photos

    held_out = [name.strip() for name in novel.split(",") if name.strip()]
    build_photos(folder, out, held_out, seed, minutes, steps, typer.echo)


@app.command()
def show(
    out: Annotated[Path, typer.Argument(help="The PNG file to write.")] = Path("garden.png"),
    seed: Annotated[int, typer.Option(help="The seed of the scenes.")] = 0,
) -> None:
    """Write a sheet of all 24 species: once alone, once in twos or threes; the last six are the novel ones."""
    from .build.sheets import species_sheet

    out.parent.mkdir(parents=True, exist_ok=True)
    species_sheet(seed).save(out)
    typer.echo(f"wrote {out}")
