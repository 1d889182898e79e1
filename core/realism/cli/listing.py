"""Commands that list parts, recipes and plugins."""

from __future__ import annotations

import inspect
from dataclasses import MISSING
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from realism.base.errors import RealismError
from realism.base.texts import printable
from realism.parts.base import FAMILIES, noun_of, one_of
from realism.plugins.manager import plugins
from realism.recipe.load import find_recipe, shipped
from realism.recipe.options import documented_options, kind_of, type_name
from realism.recipe.reader import read_yaml


def first_line(thing: Any) -> str:
    """The first sentence of a docstring."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return text.split(". ")[0].rstrip(".")


def _table(*columns: str) -> Table:
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    table.columns[-1].overflow = "fold"
    return table


def list_parts() -> None:
    """`realism parts`. A part that cannot be loaded says so in its line."""
    table = _table("family", "name", "plugin", "what it is")
    for family in FAMILIES:
        for entry in plugins().registry.entries(family):
            try:
                summary = first_line(entry.load())
            except RealismError as error:
                summary = printable(str(error))
            table.add_row(noun_of(family), entry.name, entry.plugin, escape(summary))
    Console().print(table)


def show_part(name: str) -> None:
    """`realism parts NAME`."""
    entry = plugins().registry.get(name, *FAMILIES)
    cls = entry.load()
    console = Console(highlight=False, soft_wrap=False)
    console.print(f"{entry.name}: {one_of(entry.family)} of plugin '{entry.plugin}' ({entry.target})\n", markup=False)
    console.print(inspect.getdoc(cls) or "", markup=False)
    console.print()
    table = _table("option", "type", "default", "what it is")
    for option in documented_options(cls):
        default = "must be given" if option.default is MISSING else repr(option.default)
        if option.default is MISSING and option.part_class is not None:
            default = f"the recipe's only {kind_of(option.part_class).partition(' ')[2]}"
        table.add_row(*map(escape, (option.name, type_name(option.hint), default, option.doc)))
    console.print(table if table.row_count else "no options")
    for name, output in getattr(cls, "outputs", {}).items():
        better = "higher" if output.higher_is_better else "lower"
        low, high = output.range
        console.print(f"value .{name}: {low:g} to {high:g}, {better} is better", markup=False)
    for name in getattr(cls, "map_names", ()):
        console.print(f"map {name}: 0 to 1", markup=False)


def list_recipes() -> None:
    """`realism recipes`."""
    registry = plugins().registry
    table = _table("recipe", "what it does")
    for name in sorted({*shipped(), *(e.name for e in registry.entries("recipe"))}):
        try:
            summary = str(read_yaml(find_recipe(name, registry), "line ").data.get("description") or "")
        except RealismError as error:
            summary = printable(str(error))
        table.add_row(name, escape(summary))
    Console().print(table)


def list_plugins() -> None:
    """`realism plugins`."""
    table = _table("plugin", "distribution", "version", "state")
    for plugin in plugins().plugins:
        count = sum(1 for e in plugins().registry.entries() if e.plugin == plugin.name)
        table.add_row(
            plugin.name, plugin.distribution, plugin.version, "left out" if plugin.trouble else f"{count} registered"
        )
    console = Console()
    console.print(table)
    for problem in plugins().problems:
        console.print(printable(f"note: {problem}"), markup=False, highlight=False)
