"""Reading YAML so that every key knows its file and line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from realism.errors import Problem, RealismError

Key = tuple[str | int, ...]
MOST_NODES = 100_000
"""A recipe with more nodes, aliases followed, is a bomb or a mistake."""


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

    def place(self, key: Key) -> str:
        """Where a key stands, or the nearest key around it."""
        while key and key not in self.places:
            key = key[:-1]
        return self.places.get(key, "")

    def problem(self, key: Key, message: str, hint: str = "") -> None:
        """Note one thing that is wrong."""
        self.problems.append(Problem(self.place(key), dotted(key), message, hint))


def read_yaml(path: Path, prefix: str) -> Source:
    """Read a file; a place is called `prefix` + line number. Tags and duplicate keys are problems.

    Raises RealismError if the file cannot be read as a YAML mapping at all.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise RealismError(f"recipe '{path}' cannot be read: {reason}") from None
    try:
        source = Source({})
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None:
            _locate(node, (), prefix, source)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise RealismError(f"{path}: line {line}: this is not a recipe: {error.problem}") from None
    except RecursionError:
        raise RealismError(f"{path}: this is not a recipe: it is nested too deep, or an alias holds itself") from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise RealismError(f"{path}: this is not a recipe: {str(error).splitlines()[0]}") from None
    if not isinstance(data, dict):
        raise RealismError(f"{path}: a recipe is a mapping with the keys 'parts', 'prompts' and 'steps'")
    source.data = data
    return source


def _locate(node: yaml.Node, key: Key, prefix: str, source: Source) -> None:
    source.places.setdefault(key, f"{prefix}{node.start_mark.line + 1}")
    if len(source.places) > MOST_NODES:
        raise ValueError(f"it has more than {MOST_NODES} values")
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for child, value in node.value:
            here = (*key, str(child.value))
            source.places[here] = f"{prefix}{child.start_mark.line + 1}"
            if str(child.value) in seen:
                source.problem(here, "this key stands twice in the same mapping")
            seen.add(str(child.value))
            _locate(value, here, prefix, source)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            _locate(value, (*key, i), prefix, source)


def merge(base: Source, over: Source) -> Source:
    """`over` on top of `base`: mappings are merged, all else replaced; so is a part that says `use:` anew."""
    places = dict(base.places)
    places.update({k: v for k, v in over.places.items() if k})
    data = _merged(base.data, over.data)
    return Source(data, places, base.problems + over.problems)


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        renewed = both and "use" in value and value["use"] != old.get("use")
        result[key] = _merged(old, value) if both and not renewed else value
    return result
