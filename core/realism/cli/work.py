"""Commands that work with recipes and runs."""

from __future__ import annotations

from pathlib import Path

import yaml

from realism.base.errors import RealismError
from realism.base.signals import Stopped
from realism.plugins.manager import plugins
from realism.recipe.recipe import Recipe, read_recipe
from realism.run.progress import View
from realism.run.run import Run


def _read(name: str, overrides: list[str], view: View) -> Recipe:
    for problem in plugins().problems:
        view.say(f"note: {problem}")
    return read_recipe(name, overrides, plugins().registry)


def run_recipe(name: str, overrides: list[str], out: Path | None, quiet: bool) -> None:
    """`realism run`."""
    view = View(quiet=quiet)
    recipe = _read(name, overrides, view)
    folder = out or Path("runs") / recipe.name.replace("/", "-")
    run = Run(recipe, folder, plugins(), view)
    again = " (goes on)" if (folder / "run.json").exists() else ""
    view.say(f"{folder}  recipe {run.fingerprint[:4]}{again}")
    try:
        run.execute()
    except KeyboardInterrupt as stop:
        raise Stopped(stop, "; the same command goes on from here") from None
    aside = sum(1 for _ in (folder / "aside.csv").open()) - 1
    if aside:
        view.say(f"{aside} set aside ({folder / 'aside.csv'})")
    if (folder / "report.html").exists():
        view.say(f"report: {folder / 'report.html'}")


def check_recipe(name: str, overrides: list[str]) -> None:
    """`realism check`."""
    view = View()
    recipe = _read(name, overrides, view)
    view.say(f"{name}: nothing is wrong (parts: {len(recipe.parts)}, steps: {len(recipe.steps)})")


def show_recipe(name: str, overrides: list[str]) -> None:
    """`realism show`."""
    recipe = _read(name, overrides, View(quiet=True))
    View().say(yaml.safe_dump(recipe.data, sort_keys=False).rstrip())


def write_report(folder: Path) -> None:
    """`realism report`."""
    recipe = folder / "recipe.yaml"
    if not (recipe.is_file() and (folder / "steps").is_dir()):
        raise RealismError(f"'{folder}' is not the folder of a run; name the one that 'realism run' printed")
    view = View()
    run = Run(_read(str(recipe), [], view), folder, plugins(), view)
    run.report()
    view.say(f"report: {folder / 'report.html'}")
