"""An ordered collection of artifacts, indexed by kind."""

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
    """Artifacts in the order they were first made. Those of a kind, those of a kind and an arm, and those derived from
    another are found without a scan of all, as a recipe may have thousands."""

    def __init__(self, keys: Iterable[K] = ()):
        self._all: dict[K, Any] = {}
        self._by_label: dict[tuple[Any, ...], dict[K, None]] = {}
        self._derived: dict[Any, dict[K, None]] = {}
        for key in keys:
            self._add(key)

    def __contains__(self, key: object) -> bool:
        return key in self._all

    def __iter__(self) -> Iterator[K]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def copy(self) -> Self:
        """A copy that shares no container with this one."""
        other = copy.copy(self)
        other._all = dict(self._all)
        other._by_label = {label: dict(keys) for label, keys in self._by_label.items()}
        other._derived = {source: dict(keys) for source, keys in self._derived.items()}
        return other

    def make(self, outputs: Iterable[K]) -> list[K]:
        """Add the outputs of a step. Returns the artifacts that they make invalid, which are removed."""
        outputs = dict.fromkeys(outputs)
        removed = self._invalidated(outputs)
        for key in (*removed, *(key for key in outputs if key.last_counts)):
            self._discard(key)
        for key in outputs:
            self._add(key)
        return removed

    def of_kind(self, kind: type[Any], *names: Any) -> list[Any]:
        """Those of a class whose first names are these, in order."""
        found = self._by_label.get((kind, *names[:1]), ())
        return [key for key in found if key.names[: len(names)] == names] if len(names) > 1 else list(found)

    def _invalidated(self, outputs: Collection[K]) -> list[K]:
        """The artifacts derived from one of these, directly or not, that were not made with them."""
        removed: dict[K, None] = {}
        waiting = list(outputs)
        while waiting:
            for key in self._derived.get(waiting.pop(), ()):
                if key not in outputs and key not in removed:
                    removed[key] = None
                    waiting.append(key)
        return list(removed)

    def _add(self, key: K) -> None:
        """Put it last, or leave it where it is."""
        if key not in self._all:
            self._all[key] = None
            for label in _labels(key):
                self._by_label.setdefault(label, {})[key] = None
            for source in key.derives_from():
                self._derived.setdefault(source, {})[key] = None

    def _discard(self, key: K) -> None:
        if key in self._all:
            del self._all[key]
            for label in _labels(key):
                del self._by_label[label][key]
            for source in key.derives_from():
                del self._derived[source][key]


def _labels(key: Key) -> Iterator[tuple[Any, ...]]:
    """What it is found by: each of its classes, alone and with its first name."""
    for cls in type(key).__mro__[:-1]:
        yield (cls,)
        if key.names:
            yield (cls, key.names[0])
