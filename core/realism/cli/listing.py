"""Commands that list what there is."""

from __future__ import annotations

import inspect
from dataclasses import MISSING
from typing import Any

from rich.console import Console
from rich.table import Table

from realism.manager import plugins
from realism.recipe.load import shipped
from realism.recipe.options import options_of
from realism.recipe.source import read_yaml
from realism.registry import PART_FAMILIES


def first_line(thing: Any) -> str:
    """The first sentence of a docstring."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return text.split(". ")[0].rstrip(".")


def _table(*columns: str) -> Table:
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    table.columns[-1].overflow = "fold"
    return table


def list_parts() -> None:
    """`realism parts`."""
    table = _table("family", "name", "plugin", "what it is")
    for family in (*PART_FAMILIES, "step"):
        for entry in plugins().registry.entries(family):
            table.add_row(family, entry.name, entry.plugin, first_line(entry.load()))
    Console().print(table)


def show_part(name: str) -> None:
    """`realism parts NAME`."""
    entry = plugins().registry.get(name, *PART_FAMILIES, "step")
    cls = entry.load()
    console = Console(highlight=False, soft_wrap=False)
    console.print(f"{entry.name}: a {entry.family} of plugin '{entry.plugin}' ({entry.target})\n", markup=False)
    console.print(inspect.getdoc(cls) or "", markup=False)
    console.print()
    table = _table("option", "type", "default", "what it is")
    for option in options_of(cls):
        default = "must be given" if option.default is MISSING else repr(option.default)
        if option.default is MISSING and option.part_class is not None:
            default = f"the recipe's {option.part_class.family}"
        table.add_row(option.name, type_name(option.hint), default, option.doc)
    console.print(table if table.row_count else "no options")


def type_name(hint: Any) -> str:
    """A type as people write it."""
    from typing import Annotated, get_args, get_origin

    if get_origin(hint) is Annotated:
        base, *limits = get_args(hint)
        said = [f"{k} {v}" for limit in limits for k, v in _limits(limit)]
        return " ".join([type_name(base), *said])
    if isinstance(hint, type) and not get_args(hint):
        return hint.__name__
    text = str(hint).replace("typing.", "")
    return text if "." not in text else ".".join(text.split(".")[-1:])


def _limits(limit: Any) -> list[tuple[str, Any]]:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    return [(sign, getattr(limit, key)) for key, sign in signs.items() if getattr(limit, key, None) is not None]


def list_recipes() -> None:
    """`realism recipes`."""
    found = shipped() | {e.name: e.path() for e in plugins().registry.entries("recipe")}
    table = _table("recipe", "what it does")
    for name, path in sorted(found.items()):
        table.add_row(name, str(read_yaml(path, "line ").data.get("description", "")))
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
        console.print(f"note: {problem}", markup=False, highlight=False)
