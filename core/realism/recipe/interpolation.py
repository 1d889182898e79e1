"""`${key}` in a recipe: the value of another of its keys. OmegaConf puts it in, once it is known that it comes to an
end."""

from __future__ import annotations

import contextlib
import re
from typing import Any, NamedTuple

from realism.base.errors import nearest, shown
from realism.recipe.reader import MAX_CHARACTERS, MAX_LEVELS, MAX_VALUES, TooLargeRecipe
from realism.recipe.source import Key, Source, dotted

REFERENCE = re.compile(r"\$\{([\w-]+(?:\.[\w-]+|\[\w+\])*)\}")
OPEN = "???"
"""The value of what is to be filled in."""
DEEP = "with all that ${...} stands for, it is nested too deep"


def resolve(source: Source) -> None:
    """Put in what each `${key}` stands for; only keys of this recipe are looked up, as all else could read the
    environment or run code. Problems are noted.

    Raises TooLargeRecipe where that makes too much.
    """
    resolver = _Resolver(source.data, source)
    data = resolver.checked(source.data, ())
    resolver.size(source.data, ())
    if resolver.refers:
        from omegaconf import OmegaConf

        data = OmegaConf.to_container(OmegaConf.create(data), resolve=True)
    source.data = data


class _Circle(Exception):
    """A key refers to itself."""


class _Unresolved(Exception):
    """A text cannot be resolved: why, or "" if what it refers to cannot be."""


class _Size(NamedTuple):
    """What a value comes to, with all that it stands for."""

    values: int = 1
    characters: int = 0
    levels: int = 1

    def __or__(self, inner: _Size) -> _Size:
        """With another inside of it."""
        levels = max(self.levels, 1 + inner.levels)
        return _Size(self.values + inner.values, self.characters + inner.characters, levels)


class _Resolver:
    """Finds the texts that cannot be resolved, and how much the others come to. Each value is looked at once."""

    def __init__(self, data: Any, source: Source):
        self._data, self._source = data, source
        self._sizes: dict[Key, _Size] = {}
        self._unresolved: dict[Key, str] = {}
        self._active: set[Key] = set()
        self.refers = False
        """Whether any text refers to a key."""

    def checked(self, value: Any, key: Key) -> Any:
        """A copy without the texts that cannot be resolved, which are noted where they are written."""
        if isinstance(value, dict):
            return {k: self.checked(v, (*key, k)) for k, v in value.items()}
        if isinstance(value, list):
            return [self.checked(v, (*key, i)) for i, v in enumerate(value)]
        try:
            self.size(value, key)
        except _Unresolved as unresolved:
            if str(unresolved):
                self._source.problem(key, str(unresolved))
            self._source.broken.add(key)
            return None
        return value

    def size(self, value: Any, key: Key) -> _Size:
        """What the value that is written at a key comes to. Raises TooLargeRecipe if that is too much."""
        if key in self._sizes:
            return self._sizes[key]
        if key in self._unresolved:
            raise _Unresolved(self._unresolved[key])
        if key in self._active:
            raise _Circle
        if len(self._active) > 2 * MAX_LEVELS:
            raise TooLargeRecipe(DEEP)
        self._active.add(key)
        try:
            size = self._inner(value, key)
        except _Unresolved as unresolved:
            self._unresolved[key] = str(unresolved)
            raise
        finally:
            self._active.discard(key)
        self._sizes[key] = _bounded(size)
        return size

    def _inner(self, value: Any, key: Key) -> _Size:
        if isinstance(value, str) and ("${" in value or value == OPEN):
            return self._text(value, key)
        size = _Size(characters=len(value) if isinstance(value, str) else 0)
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for k, v in inner:
            with contextlib.suppress(_Unresolved):  # reported where it is written
                size |= self.size(v, (*key, k))
        return size

    def _text(self, text: str, key: Key) -> _Size:
        if text == OPEN:
            raise _Unresolved(f"'{OPEN}' is to be filled in: give it in the recipe or as key=value")
        if "${" in REFERENCE.sub("", text):
            allowed = "only ${key} with a key of this recipe, such as ${parts.x.y}"
            raise _Unresolved(f"{shown(text)} is not allowed: {allowed}")
        self.refers = True
        size = _Size(characters=len(text))
        try:
            for name in REFERENCE.findall(text):
                value, written = self._find(name, text, key)
                size |= self._elsewhere(value, written)
                if isinstance(value, dict | list) and not REFERENCE.fullmatch(text):
                    reason = f"{shown(text)} puts {shown(value)} into a text, where only a text or a number can be"
                    raise _Unresolved(reason)
        except _Circle:
            raise _Unresolved(f"{shown(text)} leads nowhere: it refers to itself") from None
        return size

    def _elsewhere(self, value: Any, written: Key) -> _Size:
        """What a value comes to that is written at another key, where it is reported if it cannot be resolved."""
        try:
            return self.size(value, written)
        except _Unresolved:
            raise _Unresolved from None

    def _find(self, name: str, text: str, key: Key) -> tuple[Any, Key]:
        """The value at a key as it is written, and where that is: `${...}` on the way leads elsewhere."""
        value: Any = self._data
        written: Key = ()
        for part in re.split(r"[.\[\]]+", name.rstrip("]")):
            while isinstance(value, str) and (on := REFERENCE.fullmatch(value)):
                self._elsewhere(value, written)
                value, written = self._find(on[1], value, written)
            step: str | int = int(part) if isinstance(value, list) and re.fullmatch("[0-9]{1,6}", part) else part
            available = range(len(value)) if isinstance(value, list) else value if isinstance(value, dict) else ()
            if step not in available:
                near = nearest(name, (dotted(k) for k in self._source.places if k != key))
                raise _Unresolved(f"{shown(text)} leads nowhere: no key '{name}' in this recipe{near}")
            value, written = value[step], (*written, step)
        return value, written


def _bounded(size: _Size) -> _Size:
    if size.levels > 2 * MAX_LEVELS:
        raise TooLargeRecipe(DEEP)
    for count, most, called in ((size.values, MAX_VALUES, "values"), (size.characters, MAX_CHARACTERS, "characters")):
        if count > most:
            raise TooLargeRecipe(f"with all that ${{...}} stands for, it has more than {most:,} {called}")
    return size
