"""`${key}` in a recipe: the value of another of its keys."""

from __future__ import annotations

import re
from typing import Any

from realism.base.errors import nearest, shown
from realism.recipe.reader import MOST_CHARACTERS, MOST_LEVELS, MOST_VALUES, Refused
from realism.recipe.source import Key, Source, dotted

REFERENCE = re.compile(r"\$\{([\w-]+(?:\.[\w-]+|\[\w+\])*)\}")
OPEN = "???"
"""The value of what is to be filled in."""


class _Lost(Exception):
    """A text stands for nothing."""


def resolve(source: Source) -> None:
    """Put in what each `${key}` stands for; only keys of this recipe are looked up, as all else could read the
    environment or run code. Problems are noted.

    Raises Refused where that makes too much.
    """
    source.data = _Resolver(source).value(source.data, (), (), ())


class _Resolver:
    def __init__(self, source: Source):
        self._source, self._data = source, source.data
        self._values, self._characters = MOST_VALUES, MOST_CHARACTERS

    def value(self, value: Any, key: Key, written: Key, behind: tuple[Key, ...]) -> Any:
        """A copy of a value for a key, every text in it resolved.

        written: the key where the value is written, which is another where `${...}` leads there.
        behind: the keys of the texts that led there, by which a circle is found.
        """
        self._count()
        if len(behind) > MOST_LEVELS or len(key) > MOST_LEVELS:
            raise Refused("with all that ${...} stands for, it is nested too deep")
        if isinstance(value, dict):
            return {k: self.value(v, (*key, k), (*written, k), behind) for k, v in value.items()}
        if isinstance(value, list):
            return [self.value(v, (*key, i), (*written, i), behind) for i, v in enumerate(value)]
        if not isinstance(value, str) or ("${" not in value and value != OPEN):
            return value
        try:
            return self._text(value, key, (*behind, written))
        except _Lost as lost:
            if not behind:
                self._source.problem(key, str(lost))
            self._source.broken.add(key)  # told where it is written, and not wherever that is used
            return None

    def _count(self, characters: int = 0) -> None:
        self._values -= 1
        self._characters -= characters
        if self._values < 0 or self._characters < 0:
            most = f"{MOST_VALUES:,} values" if self._values < 0 else f"{MOST_CHARACTERS:,} characters"
            raise Refused(f"with all that ${{...}} stands for, it has more than {most}")

    def _text(self, text: str, key: Key, behind: tuple[Key, ...]) -> Any:
        if text == OPEN:
            raise _Lost(f"'{OPEN}' is to be filled in: give it in the recipe or as key=value")
        if "${" in REFERENCE.sub("", text):
            allowed = "only ${key} with a key of this recipe, such as ${parts.x.y}"
            raise _Lost(f"{shown(text)} is not allowed: {allowed}")
        if whole := REFERENCE.fullmatch(text):
            return self._value_of(whole[1], text, key, behind)
        pieces: list[str] = []
        for i, piece in enumerate(REFERENCE.split(text)):  # texts and keys take turns
            filled = self._value_of(piece, text, key, behind) if i % 2 else piece
            if isinstance(filled, dict | list):
                raise _Lost(f"{shown(text)} puts {shown(filled)} into a text, where only a text or a number can be")
            pieces.append("" if filled is None else filled if isinstance(filled, str) else shown(filled))
            self._count(len(pieces[-1]))
        return "".join(pieces)

    def _value_of(self, name: str, text: str, key: Key, behind: tuple[Key, ...]) -> Any:
        """What a name in braces stands for."""
        value, written = self._find(name, text, behind)
        if any(other[: len(written)] == written for other in behind):
            raise _Lost(f"{shown(text)} leads nowhere: it stands for itself")
        return self.value(value, key, written, behind)

    def _find(self, name: str, text: str, behind: tuple[Key, ...]) -> tuple[Any, Key]:
        """The value at a key as it is written, and where that is: `${...}` on the way leads elsewhere."""
        self._count()
        if len(behind) > 2 * MOST_LEVELS:
            raise _Lost(f"{shown(text)} leads nowhere: it stands for itself")
        value: Any = self._data
        written: Key = ()
        for part in re.split(r"[.\[\]]+", name.rstrip("]")):
            if isinstance(value, str) and (on := REFERENCE.fullmatch(value)):
                value, written = self._find(on[1], text, (*behind, written))
            step: str | int = int(part) if isinstance(value, list) and re.fullmatch("[0-9]{1,6}", part) else part
            there = range(len(value)) if isinstance(value, list) else value if isinstance(value, dict) else ()
            if step not in there:
                near = nearest(name, (dotted(k) for k in self._source.places if k not in behind))
                raise _Lost(f"{shown(text)} leads nowhere: no key '{name}' in this recipe{near}")
            value, written = value[step], (*written, step)
        return value, written
