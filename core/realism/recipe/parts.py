"""The parts of a recipe: made at first need from what it gives, by name or in place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from realism.base.errors import RealismError, listed, nearest, shown
from realism.base.files import digest
from realism.parts import Part, Tunable, parts_of
from realism.parts.base import one_of, part_families
from realism.plugins.registry import Registry
from realism.recipe.options import Broken, Wrong, kind_of, read_options
from realism.recipe.source import Key, Source

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
MAX_LEVELS = 20
"""Parts that hold one another in a row."""


class PartMaker:
    """Makes parts; what is wrong with them is noted in the source."""

    def __init__(self, source: Source, registry: Registry):
        self.source, self.registry = source, registry
        parts = source.data.get("parts") or {}
        if not isinstance(parts, dict):
            self.source.lose(
                ("parts",), f"expected names with parts, such as {{judge: {{use: NAME}}}}, not {shown(parts)}"
            )
            parts = {}
        self.given: dict[str, Any] = parts
        self.made: dict[str, Part | None] = {}
        self._making: list[str] = []
        self._level = 0
        self._in_places: dict[str, Part] = {}

    def named(self, name: str, key: Key) -> Part | None:
        """The part of that name in the recipe, made at first need; None if it is wrong."""
        if name in self._making:
            circle = " -> ".join([*self._making[self._making.index(name) :], name])
            raise ValueError(f"these parts need each other in a circle: {circle}")
        if name not in self.made:
            if not NAME.fullmatch(name):
                self.source.problem(key, f"'{name}' is no name for a part: letters, digits and _, a letter first")
            self._making.append(name)
            spec = self.given[name]
            try:
                self.made[name] = self.spec({"use": spec} if isinstance(spec, str) else spec, key, Part, name)
            finally:
                self._making.pop()
        return self.made[name]

    def spec(self, spec: Any, key: Key, family: type[Part], name: str = "") -> Part | None:
        """A part from `{use: ..., option: ...}`, or from a name; None if it is wrong."""
        at = key
        try:
            if isinstance(spec, str):
                return self._resolve(spec, family)
            if self.source.is_broken((*key, "use")):
                return None
            use = self._use(spec, family)
            at = (*key, "use")
            cls = self._class(use, family)
        except Broken:
            return None
        except (ValueError, RealismError) as error:
            self.source.problem(at, str(error), getattr(error, "hint", ""))
            return None
        options = {k: v for k, v in spec.items() if k != "use"}
        if self._level >= MAX_LEVELS:
            self.source.problem(key, f"more than {MAX_LEVELS} parts hold one another")
            return None
        self._level += 1
        try:
            return self.make(cls, use, options, key, name or use)
        finally:
            self._level -= 1

    def _use(self, spec: Any, family: type[Part]) -> str:
        if not isinstance(spec, Mapping):
            raise Wrong(f"expected {{use: NAME, option: value, ...}}, not {shown(spec)}")
        if not isinstance(use := spec.get("use"), str):
            given = f", not {shown(use)}" if "use" in spec else ""
            raise Wrong(f"expected 'use: NAME'{given}", f"available: {self._names(family)}")
        return use

    def _class(self, use: str, family: type[Part]) -> type[Part]:
        entry = self.registry.find(use, *part_families())
        if entry is None:
            near = nearest(use, [e.name for e in self.registry.entries(*part_families())])
            raise Wrong(f"nothing named '{use}' can be used{near}", f"available: {self._names(family)}")
        cls: type[Part] = entry.load()
        if not issubclass(cls, family):
            raise Wrong(f"'{use}' is {one_of(entry.family)}; {kind_of(family)} is needed here")
        return cls

    def _names(self, family: type[Part]) -> str:
        """The registered parts of a family (of all, for Part)."""
        families = part_families() if family is Part else (family.family,)
        return listed(e.name for e in self.registry.entries(*families))

    def make(self, cls: type[Part], label: str, options: Mapping[str, Any], key: Key, name: str) -> Part | None:
        """A part of that class, label what messages call it; None if its options are wrong."""
        part, wrong = read_options(cls, label, options, self._resolve, self._only)
        for inner, message, hint in wrong:
            self.source.problem((*key, *inner), message, hint)
        if part is not None:
            part.part_name = name
        return part

    def _resolve(self, value: Any, family: type[Part]) -> Part:
        """What an option that takes a part holds: a name of this recipe, of the registry, or a spec in place."""
        if isinstance(value, str) and value in self.given:
            part = self.named(value, ("parts", value))
        elif isinstance(value, str) and (entry := self.registry.find(value, *part_families())):
            part = self._in_place({"use": value}, Part)
            if part is None:
                raise Broken(entry.name)
        elif isinstance(value, Mapping):
            part = self._in_place(value, family)
        elif self.source.is_broken(("parts",)) or value is None:
            raise Broken(value) if self.source.broken else ValueError(f"expected {kind_of(family)}, not nothing")
        elif isinstance(value, str):
            known = [e.name for e in self.registry.entries(family.family)]
            hint = f"parts here: {listed(self.given)}; registered: {self._names(family)}"
            raise Wrong(f"no part named '{value}'{nearest(value, [*self.given, *known])}", hint)
        else:
            raise ValueError(f"expected the name of {kind_of(family)}, not {shown(value)}")
        if part is None:
            raise Broken(value)
        if not isinstance(part, family):
            raise ValueError(f"'{value}' is {one_of(part.family)}; {kind_of(family)} is needed here")
        return part

    def _in_place(self, spec: Mapping[str, Any], family: type[Part]) -> Part | None:
        """A part that has no name in the recipe; equal ones are one, so that it is loaded once. Raises ValueError with
        all that is wrong with it."""
        written = digest(spec)
        if isinstance(known := self._in_places.get(written), family):
            return known
        outer, self.source.problems = self.source.problems, {}
        try:
            part = self.spec(spec, (), family)
            wrong = list(self.source.problems)
        finally:
            self.source.problems = outer
        if wrong:
            if set(spec) == {"use"} and not any(p.key in ("", "use") for p in wrong):
                message = f"'{spec['use']}' needs options: " + "; ".join(p.message for p in wrong)
            else:
                message = "; ".join(f"{p.key}: {p.message}" if p.key else p.message for p in wrong)
            raise Wrong(message, wrong[0].hint)
        if part is not None and not any(isinstance(one, Tunable) for one in parts_of(part)):
            self._in_places[written] = part
        return part

    def _only(self, family: type[Part]) -> Part | None:
        """The recipe's one part of a family."""
        names = [n for n in self.given if n not in self._making and self._family(n) in (None, family.family)]
        parts = [self.named(name, ("parts", name)) for name in names]
        found = [p for p in parts if isinstance(p, family)]
        if len(found) > 1:
            raise ValueError(f"there are several that fit: name one of {listed(p.part_name for p in found)}")
        if not found and (None in parts or self.source.is_broken(("parts",))):
            raise Broken(family.family)
        return found[0] if found else None

    def _family(self, name: str) -> str | None:
        """The family of a part of the recipe, which need not be made for it; None if that is not known."""
        spec = self.given[name]
        use = spec.get("use") if isinstance(spec, Mapping) else spec
        entry = self.registry.find(use, *part_families()) if isinstance(use, str) else None
        return entry.family if entry else None
