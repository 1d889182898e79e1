"""From YAML to plain data, of which every key knows its place, and back."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import yaml

from realism.base.errors import RealismError, shown
from realism.base.files import regular
from realism.base.texts import CONTROL
from realism.recipe.source import Key, Source

MAX_CHARACTERS = 4_000_000
"""A file with more is no recipe."""
MAX_VALUES = 100_000
"""A recipe with more values, aliases followed, is a bomb or a mistake."""
MAX_LEVELS = 50
LONGEST_KEY = 200
LARGEST = 2**63
TAG = "tag:yaml.org,2002:"
MERGE = f"{TAG}merge"
PATTERNS = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(0|[1-9][0-9]*)",
    "float": r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?",
    "unclear": r"[-+]?(0[xXoObB][0-9a-fA-F_]+|[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?)|"
    r"[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?",
    "merge": "<<",
}
"""What is not just a text. Dates, `on`, `off`, `yes`, `no` and `.inf` are. What one version of YAML reads as another
number than people do is unclear: zeros in front, colons, `_`, letters."""
PLAIN = {TAG + kind for kind in ("null", "bool", "int", "float", "str")}
ADVICE = {
    "'\\t'": "; indent with spaces, not with tabs",
    "mapping values are not allowed": "; a text with ': ' in it needs quotes",
    "but found '?'": "; write '???' in quotes",
    "cannot start any token": "; a text that begins with it needs quotes",
}
"""What to do, by what the YAML library says."""


class TooLargeRecipe(ValueError):
    """What is YAML, and yet more than a recipe can be."""


class Loader(yaml.SafeLoader):
    """Makes nodes of a text, so many and so deep as a recipe may have; nothing is constructed from them."""

    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {}  # its own, see below

    def __init__(self, text: str):
        super().__init__(text)
        self._count = self._level = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._count += 1
        self._level += 1
        _bounded(self._count, self._level)
        node: yaml.Node | None = super().compose_node(parent, index)  # type: ignore[no-untyped-call]
        self._level -= 1
        return node


for kind, pattern in PATTERNS.items():
    Loader.add_implicit_resolver(TAG + kind, re.compile(f"({pattern})$"), None)  # type: ignore[no-untyped-call]


def _bounded(count: int, level: int) -> None:
    if count > MAX_VALUES:
        raise TooLargeRecipe(f"it has more than {MAX_VALUES:,} values")
    if level > MAX_LEVELS:
        raise TooLargeRecipe("it is nested too deep, or an alias holds itself")


def read_yaml(path: Path, prefix: str) -> Source:
    """Read a file; a place is called `prefix` + line number. Tags and duplicate keys are problems.

    Raises RealismError if the file cannot be read as a YAML mapping at all.
    """
    try:
        if regular(path).stat().st_size > MAX_CHARACTERS:
            raise RealismError(f"recipe '{path}' cannot be read: it is larger than {MAX_CHARACTERS:,} bytes")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise RealismError(f"recipe '{path}' cannot be read: {reason}") from None
    source = Source({})
    try:
        data = read_value(text, (), lambda line: f"{prefix}{line}", source)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise RealismError(f"{path}: line {line}: this is not YAML: {_reason(error)}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise RealismError(f"{path}: this is not a recipe: {str(error).splitlines()[0]}") from None
    if not isinstance(data, dict):
        found = "it is empty" if data is None else f"this is a {'list' if isinstance(data, list) else 'single value'}"
        raise RealismError(f"{path}: {found}; a recipe is a mapping with the keys 'parts', 'prompts' and 'steps'")
    source.data = data
    return source


def read_value(text: str, key: Key, place: Callable[[int], str], source: Source) -> Any:
    """The value that a text of YAML stands for at a key; what is wrong with it, and the place of each key by its line,
    are noted in the source.

    Raises yaml.YAMLError where it is no YAML, TooLargeRecipe where it is too much of it.
    """
    if len(text) > MAX_CHARACTERS:
        raise TooLargeRecipe(f"it is longer than {MAX_CHARACTERS:,} characters")
    node = Loader(text).get_single_node()  # type: ignore[no-untyped-call]
    return None if node is None else _Reading(place, source).value(node, key)


def _reason(error: yaml.MarkedYAMLError) -> str:
    message = str(error.problem)
    if message.startswith("but ") and error.context:
        message = f"{error.context}, {message}"
    return message + next((advice for sign, advice in ADVICE.items() if sign in message), "")


class _Reading:
    """Makes data of nodes, no list or mapping of it shared with another."""

    def __init__(self, place: Callable[[int], str], source: Source):
        self._place_of, self._source = place, source
        self._count = self._level = 0

    def _place(self, node: yaml.Node) -> str:
        return self._place_of(node.start_mark.line + 1)

    def value(self, node: yaml.Node, key: Key) -> Any:
        self._source.places.setdefault(key, self._place(node))
        self._count += 1
        self._level += 1
        _bounded(self._count, self._level)
        match node:
            case yaml.MappingNode() if node.tag == f"{TAG}map":
                read: Any = self._mapping(node, key)
            case yaml.SequenceNode() if node.tag == f"{TAG}seq":
                read = [self.value(value, (*key, i)) for i, value in enumerate(node.value)]
            case yaml.ScalarNode():
                read = self._scalar(node, key)
            case _:
                read = None
                self._tagged(node, key)
        self._level -= 1
        return read

    def _mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        """Keys are texts, as they are written: `5` and `on` too."""
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for child, value in node.value:
            if child.tag == MERGE:
                self._merge(value, key, merged)
            elif wrong := _key_error(child):
                self._source.problem(key, wrong, place=self._place(child))
            else:
                here = (*key, child.value)
                first = self._source.places.get(here, "")
                self._source.places[here] = self._place(child)
                if child.value in own:
                    self._source.problem(here, f"this key stands twice in the same mapping, first in {first}")
                own[child.value] = self.value(value, here)
        return merged | own

    def _merge(self, node: yaml.Node, key: Key, merged: dict[str, Any]) -> None:
        """What `<<` brings; what comes first stays."""
        found = self.value(node, key)
        for other in found if isinstance(found, list) else [found]:
            if not isinstance(other, dict):
                self._source.problem(key, f"'<<' takes mappings, not {shown(other)}", place=self._place(node))
                continue
            for name, value in other.items():
                merged.setdefault(name, value)

    def _scalar(self, node: yaml.ScalarNode, key: Key) -> Any:
        text = node.value
        if found := CONTROL.search(text):
            self._source.lose(key, f"it holds the control character {found[0]!r}, which no text of a recipe may")
            return None
        kind = node.tag.removeprefix(TAG)
        if kind in ("str", "merge"):
            return text
        if kind == "unclear":
            advice = "write a number in plain digits, such as 1000 or 0.5, or the text in quotes"
            self._source.lose(key, f"{shown(text)} may be a number or a text: {advice}")
            return None
        if node.tag not in PLAIN:
            self._tagged(node, key)
            return None
        if not re.fullmatch(PATTERNS[kind], text):
            self._source.lose(key, f"{shown(text)} is not what its tag '!!{kind}' says")
            return None
        if kind not in ("int", "float"):
            return None if kind == "null" else text.lower() == "true"
        number = float(text)
        if math.isinf(number) or (kind == "int" and abs(number) >= LARGEST):
            self._source.lose(key, f"{shown(text)} is too large a number")
            return None
        return int(text) if kind == "int" else number

    def _tagged(self, node: yaml.Node, key: Key) -> None:
        tag = shown(node.tag.replace(TAG, "!!"))
        message = f"the tag {tag} is not allowed: a recipe holds texts, numbers, lists and mappings"
        self._source.lose(key, message)


def _key_error(node: yaml.Node) -> str | None:
    """One sentence if this can be no key, else None."""
    if not isinstance(node, yaml.ScalarNode):
        return "a key must be a text, not a list or a mapping"
    if node.tag not in PLAIN and node.tag != f"{TAG}unclear":
        return f"the tag {shown(node.tag.replace(TAG, '!!'))} is not allowed: a key is a text"
    if found := CONTROL.search(node.value):
        return f"the key {shown(node.value)} holds the control character {found[0]!r}"
    return (
        f"the key {shown(node.value)} is longer than {LONGEST_KEY} characters"
        if len(node.value) > LONGEST_KEY
        else None
    )


class Dumper(yaml.SafeDumper):
    """Puts texts in quotes that would be read as something else."""


for kind, pattern in PATTERNS.items():
    Dumper.add_implicit_resolver(TAG + kind, re.compile(f"({pattern})$"), None)  # type: ignore[no-untyped-call]


def written(data: Any) -> str:
    """Data as YAML, which is read as the same data again."""
    text: str = yaml.dump(data, Dumper=Dumper, sort_keys=False)
    return text
