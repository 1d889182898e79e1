"""Commands that carry out recipes, and report runs."""

from __future__ import annotations

import csv
from pathlib import Path

from realism.base.errors import RealismError
from realism.base.signals import Stopped
from realism.cli.recipes import read_allowed
from realism.cli.runs import RUNS, find_run
from realism.plugins.manager import plugins
from realism.recipe.recipe import Recipe, read_recipe
from realism.runs import stored
from realism.runs.fingerprint import setting
from realism.runs.lock import locked
from realism.runs.progress import View
from realism.runs.run import Run


def run_recipe(
    name: str, overrides: list[str], out: Path | None, fresh: list[str], allowed: list[str], quiet: bool
) -> Path:
    """`realism run`. Returns the run's folder."""
    view = View(quiet=quiet)
    recipe = read_allowed(name, overrides, view, allowed)
    folder = out or _own_folder(recipe, name)
    run = Run(recipe, folder, plugins(), view, tuple(fresh))
    again = " (goes on)" if (folder / "run.json").exists() else ""
    view.say(f"{folder}  recipe {run.fingerprint[:4]}{again}")
    try:
        run.execute()
    except KeyboardInterrupt as stop:
        raise Stopped(stop, "; the same command goes on from here") from None
    with (folder / "skipped.csv").open(encoding="utf-8", newline="") as file:
        skipped = sum(1 for _ in csv.reader(file)) - 1
    if skipped:
        view.say(f"{skipped} skipped ({folder / 'skipped.csv'})")
    if (folder / "report.html").exists():
        view.say(f"report: {folder / 'report.html'}")
    return folder


def _own_folder(recipe: Recipe, name: str) -> Path:
    """runs/NAME for a recipe as it stands, edited or not; what is changed on the command line has a folder of its own,
    the same one in whatever words it is changed."""
    mine = plain = setting(recipe.seeds, recipe.steps)
    if recipe.overrides:
        try:
            stands = read_recipe(name, [], plugins().registry)
            plain = setting(stands.seeds, stands.steps)
        except RealismError:  # it does not stand without them
            plain = ""
    called = recipe.name.replace("/", "-")
    return RUNS / (called if mine == plain else f"{called}-{mine}")


def write_report(folder: Path) -> None:
    """`realism report`."""
    view = View()
    folder = find_run(folder)
    with locked(folder, view):
        stored.write_report(folder, plugins().registry, view)
    view.say(f"report: {folder / 'report.html'}")
