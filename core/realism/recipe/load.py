"""From a recipe's name and overrides to plain data: extends, `key=value`, interpolation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from realism.errors import Problem, RealismError, listed, nearest
from realism.recipe.source import Key, Source, merge, read_yaml
from realism.registry import Registry

TOP = ("description", "extends", "limits", "name", "parts", "prompts", "seed", "steps")
COMMAND_LINE = "command line"


def shipped() -> dict[str, Path]:
    """The recipes that come with the framework, by name: beside the package when installed, else in the checkout."""
    here = Path(__file__).parents[1] / "recipes"
    folder = here if here.is_dir() else Path(__file__).parents[3] / "recipes"
    return {p.relative_to(folder).with_suffix("").as_posix(): p for p in sorted(folder.rglob("*.yaml"))}


def find_recipe(name: str, registry: Registry) -> Path:
    """The file of a recipe: a path, or the name of one that is shipped or registered."""
    if Path(name).is_file():
        return Path(name)
    known = {e.name: e.path() for e in registry.entries("recipe")} | shipped()
    if name in known:
        return known[name]
    raise RealismError(f"no recipe '{name}': neither a file nor one of {listed(known)}{nearest(name, known)}")


def load(name: str, overrides: list[str], registry: Registry) -> Source:
    """The data of a recipe with all it extends, overrides put in and interpolations resolved; problems are noted."""
    path = find_recipe(name, registry)
    source = _extended(path, "line ", [], registry)
    for override in overrides:
        _override(source, override)
    return _resolved(source)


def _extended(path: Path, prefix: str, before: list[Path], registry: Registry) -> Source:
    source = read_yaml(path, prefix)
    base = source.data.pop("extends", None)
    if base is None:
        return source
    if not isinstance(base, str):
        source.problem(("extends",), f"expected the name or path of one recipe, not {base!r}")
        return source
    beside = path.parent / base
    try:
        found = beside if beside.is_file() else find_recipe(base, registry)
    except RealismError as error:
        source.problem(("extends",), str(error))
        return source
    if found.resolve() in [p.resolve() for p in (*before, path)]:
        source.problem(("extends",), f"'{base}' extends this recipe in turn; one of the two must stand alone")
        return source
    return merge(_extended(found, f"{found.name}:", [*before, path], registry), source)


def _override(source: Source, text: str) -> None:
    name, sign, value = text.partition("=")
    keys: list[str | int] = [int(k) if k.isdigit() else k for k in re.split(r"[.\[\]]+", name.strip()) if k]
    if not sign or not keys:
        source.problems.append(Problem(COMMAND_LINE, text, "expected key=value, such as generator.steps=8"))
        return
    if keys[0] not in TOP and keys[0] in (source.data.get("parts") or {}):
        keys.insert(0, "parts")
    try:
        read = yaml.safe_load(value)
    except yaml.YAMLError:
        source.problems.append(Problem(COMMAND_LINE, name, f"{value!r} is no YAML value; put it in quotes"))
        return
    holder: Any = source.data
    for i, key in enumerate(keys[:-1]):
        holder = _enter(holder, key, source, tuple(keys[: i + 1]))
        if holder is None:
            return
    last = keys[-1]
    if isinstance(holder, list) and not (isinstance(last, int) and last < len(holder)):
        source.problems.append(Problem(COMMAND_LINE, name, f"the list has {len(holder)} items, counted from 0"))
        return
    holder[last] = read
    source.places = {k: v for k, v in source.places.items() if k[: len(keys)] != tuple(keys)}
    source.places[tuple(keys)] = COMMAND_LINE


def _enter(holder: Any, key: str | int, source: Source, path: Key) -> Any:
    if isinstance(holder, list) and isinstance(key, int) and key < len(holder):
        if holder[key] is None or isinstance(holder[key], str):
            source.problems.append(Problem(COMMAND_LINE, str(path), "this holds no keys to set"))
            return None
        return holder[key]
    if isinstance(holder, dict):
        if holder.get(key) is None:
            holder[key] = {}
        if isinstance(holder[key], dict | list):
            return holder[key]
    source.problems.append(Problem(COMMAND_LINE, ".".join(map(str, path)), "there is nothing of that name to set"))
    return None


def _resolved(source: Source) -> Source:
    try:
        config = OmegaConf.create(source.data)
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        source.problem((), str(error).splitlines()[0])
        return source
    source.data = _plain(config, (), source)
    return source


def _plain(config: DictConfig | ListConfig, key: Key, source: Source) -> Any:
    keys = list(config.keys()) if isinstance(config, DictConfig) else range(len(config))
    result: dict[Any, Any] = {}
    for k in keys:
        here = (*key, k if isinstance(config, ListConfig) else str(k))
        raw = config._get_node(k)
        text = raw._value() if raw is not None and not isinstance(raw, list) else None
        if isinstance(text, str) and re.search(r"\$\{[^}]*:", text):
            source.problem(here, f"{text!r} calls a resolver; only ${{key}} of this recipe is allowed")
            continue
        try:
            value = config[k]
        except MissingMandatoryValue:
            source.problem(here, "'???' is to be filled in: give it in the recipe or as key=value")
            continue
        except OmegaConfBaseException as error:
            source.problem(here, str(error).splitlines()[0])
            continue
        result[k] = _plain(value, here, source) if isinstance(value, DictConfig | ListConfig) else value
    return list(result.values()) if isinstance(config, ListConfig) else result
