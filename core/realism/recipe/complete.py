"""A recipe written out: every part and step with all of its options, those that it did not set marked as defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml

from realism.base.errors import RealismError
from realism.parts import Part, Trainer
from realism.parts.base import part_families
from realism.plugins.registry import Registry
from realism.recipe.load import SETTINGS
from realism.recipe.options import Option, options_of
from realism.recipe.reader import Dumper

COMPLETE = "recipe-complete.yaml"
"""What the file is called in a run's folder."""
DEFAULT = "  # default"
"""What ends the line of an option that the recipe did not set."""


def complete(data: Mapping[str, Any], registry: Registry) -> str:
    """A resolved recipe as YAML with all options, which makes the same parts and steps when it is read."""
    lines = [_line(key, data[key]) for key in ("name", "description") if data.get(key)]
    lines += [_line(key, data[key]) if key in data else _line(key, SETTINGS[key]) + DEFAULT for key in SETTINGS]
    writer = _Writer(data.get("parts") or {}, registry)
    if writer.given:
        lines.append("parts:")
        for name, spec in writer.given.items():
            lines += _indented(writer.part(name, spec))
    if data.get("prompts") is not None:
        lines += writer.part("prompts", data["prompts"])
    lines += ["steps:", *_indented(writer.steps(data.get("steps") or []))]
    return "\n".join(lines) + "\n"


class _Writer:
    """Writes parts and steps; what it does not know it writes as it was given."""

    def __init__(self, given: Mapping[str, Any], registry: Registry):
        self.given, self._registry = given, registry

    def part(self, key: str, spec: Any) -> list[str]:
        """A part under a key: a name, or `use` with all options."""
        named = isinstance(spec, str) and spec in self.given and spec != key
        spec = {"use": spec} if isinstance(spec, str) and not named else spec
        cls = self._class(spec.get("use")) if isinstance(spec, Mapping) else None
        if cls is None:
            return [_line(key, spec)]
        options = {name: value for name, value in spec.items() if name != "use"}
        return [f"{_text(key)}:", *_indented([_line("use", spec["use"]), *self._options(cls, options)])]

    def steps(self, entries: Sequence[Any]) -> list[str]:
        """The steps of a list, repeats as they are."""
        lines: list[str] = []
        for entry in entries:
            entry = {entry: None} if isinstance(entry, str) else entry
            if "repeat" in entry:
                block = [_line("repeat", entry["repeat"]), "steps:", *_indented(self.steps(entry.get("steps") or []))]
            else:
                [(verb, options)] = entry.items()
                block = self._step(verb, options or {})
            lines += [f"- {block[0]}", *_indented(block[1:])]
        return lines

    def _step(self, verb: str, options: Mapping[str, Any]) -> list[str]:
        cls = self._registry.get(verb, "step").load()
        own = {option.name: option for option in options_of(cls)}
        others = {name: value for name, value in options.items() if name not in own}
        takes = next((n for n, o in own.items() if o.part_class and issubclass(o.part_class, Trainer)), "")
        if others and isinstance(name := options.get(takes), str):  # options of the trainer may stand in the step
            spec = self.given.get(name, name)
            spec = {"use": spec} if isinstance(spec, str) else spec
            options = {n: v for n, v in options.items() if n in own} | {takes: {**spec, **others}}
        written = self._options(cls, options)
        return [f"{verb}:", *_indented(written)] if written else [f"{verb}: {{}}"]

    def _options(self, cls: type, given: Mapping[str, Any]) -> list[str]:
        return [line for option in options_of(cls) for line in self._option(option, given)]

    def _option(self, option: Option, given: Mapping[str, Any]) -> Iterator[str]:
        name, present = option.name, option.name in given
        value = given.get(name, option.default)
        if option.group and (isinstance(value, Mapping) or not present):
            yield f"{name}:"
            yield from _indented(self._options(option.group, value if present else {}))
        elif present and isinstance(value, Mapping) and "use" in value:
            yield from self.part(name, value)
        elif present:
            yield _line(name, value)
        elif option.default is not MISSING and _is_plain(option.default):
            yield _line(name, _plain(option.default)) + DEFAULT
        elif option.part_class and (only := self._only(option.part_class)):
            yield _line(name, only) + DEFAULT

    def _only(self, family: type[Part]) -> str:
        """The name of the recipe's one part of a family; "" if there is not one."""
        found = []
        for name, spec in self.given.items():
            cls = self._class(spec.get("use") if isinstance(spec, Mapping) else spec)
            found += [name] if cls and issubclass(cls, family) else []
        return found[0] if len(found) == 1 else ""

    def _class(self, use: Any) -> type[Part] | None:
        entry = self._registry.find(use, *part_families()) if isinstance(use, str) else None
        try:
            return entry.load() if entry else None
        except RealismError:
            return None


def _is_plain(value: Any) -> bool:
    """Whether a default can be written in a recipe."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(one) for key, one in value.items())
    if is_dataclass(value) and not isinstance(value, Part | type):
        return all(_is_plain(getattr(value, f.name)) for f in fields(value))
    return value is None or isinstance(value, bool | int | float | str | Path)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return str(value) if isinstance(value, Path) else value


def _line(key: str, value: Any) -> str:
    return f"{_text(key)}: {_text(value)}"


def _text(value: Any) -> str:
    """A value in one line of YAML."""
    text: str = yaml.dump(value, Dumper=Dumper, default_flow_style=True, width=10**9, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]
