"""The data of a recipe, of which every key knows its file and line, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from realism.base.errors import Problem, RealismError

Key = tuple[str | int, ...]
MAX_PROBLEMS = 200
"""Nobody reads on to more; what is wrong after these is not looked for."""


class TooMany(RealismError):
    """So much is wrong that the rest is not looked for."""

    def __init__(self, problems: list[Problem]):
        super().__init__(f"more than {len(problems)} problems")
        self.problems = problems


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
    problems: dict[Problem, None] = field(default_factory=dict)
    """In order, each once."""
    broken: set[Key] = field(default_factory=set)
    """Keys whose value is missing or wrong: reported once, so that nothing that follows from it is reported as well."""

    def place(self, key: Key) -> str:
        """Where a key stands, or the nearest key around it."""
        while key and key not in self.places:
            key = key[:-1]
        return self.places.get(key, "")

    def is_broken(self, key: Key) -> bool:
        """Whether this value, or one around it, could not be had."""
        return any(key[:i] in self.broken for i in range(len(key) + 1))

    def problem(self, key: Key, message: str, hint: str = "", place: str = "") -> None:
        """Note one thing that is wrong, unless it follows from a value that could not be had; by default it is where
        the key stands."""
        if not self.is_broken(key):
            self.note(Problem(place or self.place(key), dotted(key), message, hint))

    def note(self, problem: Problem) -> None:
        """Note one thing that is wrong. Raises TooMany if enough is wrong already."""
        self.problems[problem] = None
        if len(self.problems) > MAX_PROBLEMS:
            raise TooMany(list(self.problems)[:MAX_PROBLEMS])

    def lose(self, key: Key, message: str, hint: str = "") -> None:
        """Note that a value cannot be had."""
        self.problem(key, message, hint)
        self.broken.add(key)


def merge(base: Source, over: Source) -> Source:
    """`over` on top of `base`: mappings are merged, all else replaced; so is a part that says `use:` anew."""
    replaced: set[Key] = set()
    data = _merged(base.data, over.data, (), replaced)

    def stays(key: Key) -> bool:
        return replaced.isdisjoint(key[: i + 1] for i in range(len(key)))

    places = {k: v for k, v in base.places.items() if stays(k)} | over.places
    broken = {k for k in base.broken if stays(k)} | over.broken
    return Source(data, places, base.problems | over.problems, broken)


def _merged(base: Mapping[str, Any], over: Mapping[str, Any], at: Key, replaced: set[Key]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        old, here = result.get(key), (*at, key)
        if isinstance(old, dict) and isinstance(value, dict) and value.get("use", old.get("use")) == old.get("use"):
            result[key] = _merged(old, value, here, replaced)
        else:
            result[key] = value
            replaced.add(here)
    return result
