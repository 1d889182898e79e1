"""Commands that read recipes. What carries recipes out is not imported, as it takes longer than a check."""

from __future__ import annotations

from realism.base.permissions import allow
from realism.plugins.manager import plugins
from realism.recipe.reader import written
from realism.recipe.recipe import Recipe, read_recipe
from realism.runs.progress import View


def read_allowed(name: str, overrides: list[str], view: View, allowed: list[str]) -> Recipe:
    """A recipe that may send where the command line allows; the view gets the problems of plugins."""
    allow(allowed)
    for problem in plugins().problems:
        view.say(f"note: {problem}")
    return read_recipe(name, overrides, plugins().registry)


def check_recipe(name: str, overrides: list[str], allowed: list[str]) -> None:
    """`realism check`."""
    view = View()
    recipe = read_allowed(name, overrides, view, allowed)
    view.say(f"{name}: nothing is wrong (parts: {len(recipe.parts)}, steps: {len(recipe.steps)})")


def show_recipe(name: str, overrides: list[str], allowed: list[str]) -> None:
    """`realism show`."""
    recipe = read_allowed(name, overrides, View(quiet=True), allowed)
    View().say(written(recipe.data).rstrip())
