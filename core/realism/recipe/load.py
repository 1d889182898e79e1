"""From a recipe's name and overrides to plain data: extends, `key=value`, interpolation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from realism.base.errors import Problem, RealismError, listed, nearest, shown
from realism.base.texts import CONTROL
from realism.plugins.registry import Registry
from realism.recipe.interpolation import resolve
from realism.recipe.options import Wrong
from realism.recipe.reader import MAX_LEVELS, TooLargeRecipe, read_value, read_yaml
from realism.recipe.source import Key, Source, dotted, merge
from realism.recipe.variants import chosen

SETTINGS: dict[str, Any] = {"seed": 0, "seeds": 1, "limits": {"skipped": 0.1}}
"""Keys at the top of a recipe that have a default, and the default."""
TOP = ("choose", "description", "extends", "limits", "name", "parts", "prompts", "seed", "seeds", "steps", "variants")
COMMAND_LINE = "command line"
MAX_EXTENDED = 20
"""Recipes that extend one another in a row."""


def shipped() -> dict[str, Path]:
    """The recipes that come with the framework, by name: beside the package when installed, else in the checkout."""
    here = Path(__file__).parents[1] / "recipes"
    folder = here if here.is_dir() else Path(__file__).parents[3] / "recipes"
    return {p.relative_to(folder).with_suffix("").as_posix(): p for p in sorted(folder.rglob("*.yaml"))}


def is_file(path: Path) -> bool:
    """Whether there is a file of that name, which may be none that a file can have."""
    try:
        return path.is_file()
    except OSError:
        return False


def find_recipe(name: str, registry: Registry) -> Path:
    """The file of a recipe: a path, or the name of one that is shipped or registered."""
    if is_file(Path(name)):
        return Path(name)
    if entry := registry.find(name, "recipe"):
        return entry.path()
    ours = shipped()
    if name in ours:
        return ours[name]
    if len(name) < 256 and Path(name).is_dir():
        raise RealismError(f"'{name}' is a folder; name a recipe file in it")
    if len(name) < 256 and Path(name).exists():
        raise RealismError(f"'{name}' is a pipe or a device; a recipe is a file")
    known = [*ours, *(e.name for e in registry.entries("recipe"))]
    raise RealismError(f"no recipe '{name}': no such file; recipes with a name: {listed(known)}{nearest(name, known)}")


def load(name: str, overrides: list[str], registry: Registry) -> Source:
    """The data of a recipe with all it extends, the chosen variants and overrides put in and interpolations resolved;
    problems are noted."""
    path = find_recipe(name, registry)
    source = _extended(path, "line ", [], registry)
    choices = [o for o in overrides if o.lstrip().startswith(("choose.", "choose="))]
    for override in choices:
        _override(source, override)
    source = chosen(source)
    for override in overrides:
        if override not in choices:
            _override(source, override)
    try:
        resolve(source)
    except TooLargeRecipe as error:
        raise RealismError(f"{name}: this is not a recipe: {error}") from None
    return source


def _extended(path: Path, prefix: str, before: list[Path], registry: Registry) -> Source:
    source = read_yaml(path, prefix)
    base = source.data.pop("extends", None)
    if base is None:
        return source
    if not isinstance(base, str):
        source.lose(("extends",), f"expected the name or path of one recipe, not {shown(base)}")
        return source
    beside = path.parent / base
    try:
        found = beside if is_file(beside) else find_recipe(base, registry)
    except RealismError as error:
        source.lose(("extends",), str(error))
        return source
    if found.resolve() in [p.resolve() for p in (*before, path)]:
        source.lose(("extends",), f"'{base}' extends this recipe in turn; one of the two must stand alone")
        return source
    if len(before) >= MAX_EXTENDED:
        source.lose(("extends",), f"more than {MAX_EXTENDED} recipes extend one another; write them as fewer")
        return source
    return merge(_extended(found, f"{found.name}:", [*before, path], registry), source)


def _override(source: Source, text: str) -> None:
    """Put in one `key=value`."""
    name, sign, value = text.partition("=")
    name = name.strip()
    try:
        if not sign or not re.search(r"[^.\[\]\s]", name):
            raise ValueError("expected key=value, such as generator.steps=8")
        keys = _keys(name, source)
        inner = Source({})
        try:
            read = read_value(value, keys, lambda _: COMMAND_LINE, inner)
        except yaml.YAMLError:
            raise ValueError(f"{shown(value)} is no YAML value; put it in quotes") from None
        _put(source.data, keys, read)
    except ValueError as error:
        source.note(Problem(COMMAND_LINE, name or text, str(error), getattr(error, "hint", "")))
        return
    source.places = {k: v for k, v in source.places.items() if k[: len(keys)] != keys} | inner.places
    source.broken = {k for k in source.broken if k[: len(keys)] != keys} | inner.broken
    for problem in inner.problems:
        source.note(problem)
    for i in range(1, len(keys) + 1):
        source.places.setdefault(keys[:i], COMMAND_LINE)


def _keys(name: str, source: Source) -> Key:
    """ "generator.size" -> ("parts", "generator", "size"). Raises ValueError for what no recipe has."""
    keys = tuple(int(k) if re.fullmatch(r"[0-9]{1,6}", k) else k for k in re.split(r"[.\[\]]+", name) if k)
    if len(keys) > MAX_LEVELS or CONTROL.search(name):
        raise ValueError("no recipe has such a key")
    parts = source.data.get("parts")
    parts = parts if isinstance(parts, dict) else {}
    if keys[0] not in TOP and keys[0] in parts:
        return ("parts", *keys)
    if keys[0] not in TOP:
        near = nearest(str(keys[0]), [*TOP, *parts])
        raise Wrong(f"no key and no part '{keys[0]}'{near}", f"keys: {listed(TOP)}; parts: {listed(parts)}")
    if keys[0] == "extends":
        raise ValueError("'extends' is read from the recipe only; write it there")
    return keys


def _put(holder: Any, keys: Key, value: Any) -> None:
    """Set a value in nested data; mappings that are not there are made. Raises ValueError where that cannot be."""
    for i, key in enumerate(keys):
        if isinstance(holder, list):
            if not isinstance(key, int) or key >= len(holder):
                raise ValueError(f"'{dotted(keys[:i])}' is a list of {len(holder)}, counted from 0; it has no '{key}'")
            if isinstance(holder[key], str) and keys[:i] and keys[i - 1] == "steps":
                holder[key] = {holder[key]: {}}  # the short form `- index`
        elif isinstance(holder, dict):
            key = str(key)
        else:
            raise ValueError(f"'{dotted(keys[:i])}' is {shown(holder)}, which has no keys to set")
        if i == len(keys) - 1:
            holder[key] = value
            return
        if isinstance(holder, dict) and holder.get(key) is None:
            holder[key] = {}
        holder = holder[key]
