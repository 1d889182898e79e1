"""Reading YAML so that every key knows its file and line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from realism.base.errors import Problem, RealismError
from realism.base.files import regular

Key = tuple[str | int, ...]
MOST_VALUES = 100_000
"""A recipe with more values, aliases followed, is a bomb or a mistake."""
TAG = "tag:yaml.org,2002:"
PLAIN = {TAG + kind for kind in ("null", "bool", "int", "float", "str", "seq", "map")}
BOOL = re.compile("(true|True|TRUE|false|False|FALSE)$")
ADVICE = {
    "'\\t'": "; indent with spaces, not with tabs",
    "mapping values are not allowed": "; a text with ': ' in it needs quotes",
    "but found '?'": "; write '???' in quotes",
    "cannot start any token": "; a text that begins with it needs quotes",
}
"""What to do, by what the YAML library says."""


def dotted(key: Key) -> str:
    """('steps', 1, 'select', 'where') -> "steps[1].select.where"."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


@dataclass
class Source:
    """Data read from YAML, where each key stands, and what is wrong with it."""

    data: dict[str, Any]
    places: dict[Key, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    broken: set[Key] = field(default_factory=set)
    """Keys whose value could not be had: told once, so that nothing that follows from it is told as well."""

    def place(self, key: Key) -> str:
        """Where a key stands, or the nearest key around it."""
        while key and key not in self.places:
            key = key[:-1]
        return self.places.get(key, "")

    def is_broken(self, key: Key) -> bool:
        """Whether this value, or one around it, could not be had."""
        return any(key[:i] in self.broken for i in range(len(key) + 1))

    def problem(self, key: Key, message: str, hint: str = "") -> None:
        """Note one thing that is wrong, unless it follows from a value that could not be had."""
        if not self.is_broken(key):
            self.problems.append(Problem(self.place(key), dotted(key), message, hint))

    def lose(self, key: Key, message: str, hint: str = "") -> None:
        """Note that a value cannot be had."""
        self.problem(key, message, hint)
        self.broken.add(key)


class Loader(yaml.SafeLoader):
    """Plain values only: a date stays the text it is written as, and so do `on`, `off`, `yes` and `no`."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [
            (tag, BOOL if tag == f"{TAG}bool" else pattern)
            for tag, pattern in resolvers
            if tag in PLAIN or tag == f"{TAG}merge"
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read_yaml(path: Path, prefix: str) -> Source:
    """Read a file; a place is called `prefix` + line number. Tags and duplicate keys are problems.

    Raises RealismError if the file cannot be read as a YAML mapping at all.
    """
    try:
        text = regular(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise RealismError(f"recipe '{path}' cannot be read: {reason}") from None
    source = Source({})
    try:
        loader = Loader(text)
        node = loader.get_single_node()
        data = None if node is None else _read(node, (), loader, prefix, source)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise RealismError(f"{path}: line {line}: this is not YAML: {_reason(error)}") from None
    except RecursionError:
        raise RealismError(f"{path}: this is not a recipe: it is nested too deep, or an alias holds itself") from None
    except (yaml.YAMLError, ValueError) as error:
        raise RealismError(f"{path}: this is not a recipe: {str(error).splitlines()[0]}") from None
    if not isinstance(data, dict):
        found = "it is empty" if data is None else f"this is a {'list' if isinstance(data, list) else 'single value'}"
        raise RealismError(f"{path}: {found}; a recipe is a mapping with the keys 'parts', 'prompts' and 'steps'")
    source.data = data
    return source


def _reason(error: yaml.MarkedYAMLError) -> str:
    said = str(error.problem)
    if said.startswith("but ") and error.context:
        said = f"{error.context}, {said}"
    return said + next((advice for sign, advice in ADVICE.items() if sign in said), "")


def _read(node: yaml.Node, key: Key, loader: Loader, prefix: str, source: Source) -> Any:
    """The data of a node, no list or mapping of it shared with another, and the places of all its keys."""
    source.places.setdefault(key, f"{prefix}{node.start_mark.line + 1}")
    if len(source.places) > MOST_VALUES:
        raise ValueError(f"it has more than {MOST_VALUES:,} values")
    if node.tag not in PLAIN:
        tag = node.tag.replace(TAG, "!!")
        source.lose(key, f"the tag '{tag}' is not allowed: a recipe holds texts, numbers, lists and mappings")
        return None
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, key, loader, prefix, source)
    if isinstance(node, yaml.SequenceNode):
        return [_read(value, (*key, i), loader, prefix, source) for i, value in enumerate(node.value)]
    return loader.construct_object(node)


def _mapping(node: yaml.MappingNode, key: Key, loader: Loader, prefix: str, source: Source) -> dict[str, Any]:
    """Keys are texts, as they are written: `5` and `on` too."""
    own: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    for child, value in node.value:
        line = f"{prefix}{child.start_mark.line + 1}"
        if not isinstance(child, yaml.ScalarNode):
            source.problems.append(Problem(line, dotted(key), "a key must be a text, not a list or a mapping"))
        elif child.tag == f"{TAG}merge":
            found = _read(value, key, loader, prefix, source)
            for other in found if isinstance(found, list) else [found]:
                merged = {**other, **merged} if isinstance(other, dict) else merged
        else:
            here = (*key, child.value)
            first = source.places.get(here, "")
            source.places[here] = line
            if child.value in own:
                source.problem(here, f"this key stands twice in the same mapping, first in {first}")
            own[child.value] = _read(value, here, loader, prefix, source)
    return merged | own


def merge(base: Source, over: Source) -> Source:
    """`over` on top of `base`: mappings are merged, all else replaced; so is a part that says `use:` anew."""
    replaced: list[Key] = []
    data = _merged(base.data, over.data, (), replaced)

    def stays(key: Key) -> bool:
        return not any(key[: len(other)] == other for other in replaced)

    places = {k: v for k, v in base.places.items() if stays(k)} | over.places
    broken = {k for k in base.broken if stays(k)} | over.broken
    return Source(data, places, base.problems + over.problems, broken)


def _merged(base: Mapping[str, Any], over: Mapping[str, Any], at: Key, replaced: list[Key]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        old, here = result.get(key), (*at, key)
        if isinstance(old, dict) and isinstance(value, dict) and value.get("use", old.get("use")) == old.get("use"):
            result[key] = _merged(old, value, here, replaced)
        else:
            result[key] = value
            replaced.append(here)
    return result
