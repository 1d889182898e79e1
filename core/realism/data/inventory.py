"""What is there, in order, and quick to look through."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Protocol, Self, TypeVar


class Key(Protocol):
    """What an `Artifact` is to an inventory."""

    @property
    def names(self) -> tuple[Any, ...]: ...

    @property
    def last_counts(self) -> bool: ...

    def derives_from(self) -> tuple[Any, ...]: ...


K = TypeVar("K", bound=Key)


class Inventory(Collection[K]):
    """Artifacts in the order they were first made. Those of a kind, those of a kind and an arm, and those that tell of
    another are found without a look at all the rest, as a recipe may have thousands."""

    def __init__(self, keys: Iterable[K] = ()):
        self._all: dict[K, Any] = {}
        self._alike: dict[tuple[Any, ...], dict[K, None]] = {}
        self._telling: dict[Any, dict[K, None]] = {}
        for key in keys:
            self._add(key)

    def __contains__(self, key: object) -> bool:
        return key in self._all

    def __iter__(self) -> Iterator[K]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def copy(self) -> Self:
        """Another that holds the same."""
        made = copy.copy(self)
        made._all = dict(self._all)
        made._alike = {label: dict(keys) for label, keys in self._alike.items()}
        made._telling = {told: dict(keys) for told, keys in self._telling.items()}
        return made

    def make(self, made: Iterable[K]) -> list[K]:
        """Put in what a step has made; returns what holds no longer for that, which is taken out."""
        made = dict.fromkeys(made)
        gone = self._void(made)
        for key in (*gone, *(key for key in made if key.last_counts)):
            self._discard(key)
        for key in made:
            self._add(key)
        return gone

    def alike(self, kind: type[Any], *names: Any) -> list[Any]:
        """Those of a class whose first names are these, in order."""
        found = self._alike.get((kind, *names[:1]), ())
        return [key for key in found if key.names[: len(names)] == names] if len(names) > 1 else list(found)

    def _void(self, made: Collection[K]) -> list[K]:
        """What tells of one of these, or of one that holds no longer, and was not made with them."""
        gone: dict[K, None] = {}
        waiting = list(made)
        while waiting:
            for key in self._telling.get(waiting.pop(), ()):
                if key not in made and key not in gone:
                    gone[key] = None
                    waiting.append(key)
        return list(gone)

    def _add(self, key: K) -> None:
        """Put it last, or leave it where it is."""
        if key not in self._all:
            self._all[key] = None
            for label in _labels(key):
                self._alike.setdefault(label, {})[key] = None
            for told in key.derives_from():
                self._telling.setdefault(told, {})[key] = None

    def _discard(self, key: K) -> None:
        if key in self._all:
            del self._all[key]
            for label in _labels(key):
                del self._alike[label][key]
            for told in key.derives_from():
                del self._telling[told][key]


def _labels(key: Key) -> Iterator[tuple[Any, ...]]:
    """What it is found by: each of its classes, alone and with its first name."""
    for cls in type(key).__mro__[:-1]:
        yield (cls,)
        if key.names:
            yield (cls, key.names[0])
