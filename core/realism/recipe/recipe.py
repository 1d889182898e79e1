"""A recipe that has been checked whole: its parts made, its steps in order, everything wrong reported at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from realism.errors import Problem, RealismError, RecipeError, listed, nearest
from realism.parts import BaseReward, Part, Prompts
from realism.parts.step import Step
from realism.recipe.load import TOP, load
from realism.recipe.options import Broken, options_of, read_options
from realism.recipe.source import Key, Source
from realism.registry import PART_FAMILIES, Registry

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
MOST_STEPS = 10_000


@dataclass(frozen=True)
class Recipe:
    """What to do. data is the resolved recipe, from which all the rest was made."""

    name: str
    description: str
    seed: int
    aside_limit: float
    data: dict[str, Any]
    parts: dict[str, Part]
    prompts: Prompts | None
    steps: tuple[Step, ...]

    @property
    def rewards(self) -> dict[str, BaseReward]:
        """The rewards that its steps use, by name."""
        used = [r for step in self.steps for r in getattr(step, "rewards", [])]
        return {r.part_name: r for r in used if isinstance(r, BaseReward)}


def read_recipe(name: str, overrides: list[str], registry: Registry) -> Recipe:
    """Read and check a recipe. Raises RecipeError with everything wrong with it, or RealismError if there is none."""
    source = load(name, overrides, registry)
    reader = _Reader(source, registry)
    recipe = reader.recipe(Path(name).stem if Path(name).is_file() else name)
    if source.problems:
        unique = list(dict.fromkeys(source.problems))
        raise RecipeError(name, sorted(unique, key=_by_place))
    return recipe


def _by_place(problem: Problem) -> tuple[int, str, int]:
    name, _, line = problem.where.replace("line ", "line:").rpartition(":")
    order = 0 if name == "line" else 1 if name else 2
    return order, name, int(line) if line.isdigit() else 0


class _Reader:
    def __init__(self, source: Source, registry: Registry):
        self.source, self.registry = source, registry
        parts = source.data.get("parts") or {}
        if not isinstance(parts, dict):
            self.source.problem(("parts",), f"expected a mapping of names to parts, not {parts!r}")
            parts = {}
        self.given: dict[str, Any] = parts
        self.made: dict[str, Part | None] = {}
        self.making: list[str] = []

    def recipe(self, name: str) -> Recipe:
        data = self.source.data
        for key in data:
            if key not in TOP:
                self.source.problem((key,), f"a recipe has no key '{key}'{nearest(key, TOP)}", f"keys: {listed(TOP)}")
        for part in self.given:
            self._named(part, ("parts", part))
        prompts = None
        if data.get("prompts") is not None:
            prompts = self._spec(data["prompts"], ("prompts",), Prompts)
        steps = list(self._steps(data.get("steps"), ("steps",)))
        data["name"] = str(data.get("name") or name)
        recipe = Recipe(
            name=data["name"],
            description=str(data.get("description") or ""),
            seed=self._number("seed", 0, int, 0, 2**63),
            aside_limit=self._limit(),
            data=data,
            parts={k: v for k, v in self.made.items() if v is not None},
            prompts=prompts,  # type: ignore[arg-type]
            steps=tuple(step for step, _ in steps),
        )
        if not self.source.problems:
            self._flow(recipe, steps)
        return recipe

    def _number(self, key: str, default: Any, kind: type, least: float, most: float) -> Any:
        value = self.source.data.get(key, default)
        if type(value) not in (kind, int) or isinstance(value, bool) or not least <= value < most:
            self.source.problem((key,), f"{value!r} is not allowed: expected a number from {least} to below {most}")
            return default
        return value

    def _limit(self) -> float:
        limits = self.source.data.get("limits") or {}
        if not isinstance(limits, dict) or set(limits) - {"aside"}:
            self.source.problem(("limits",), "expected {aside: SHARE}, the share of items that may be set aside")
            return 0.1
        value = limits.get("aside", 0.1)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
            self.source.problem(("limits", "aside"), f"{value!r} is not allowed: expected a share from 0 to 1")
            return 0.1
        return float(value)

    def _named(self, name: str, key: Key) -> Part | None:
        """The part of that name in the recipe, made at first need."""
        if name in self.making:
            circle = " -> ".join([*self.making[self.making.index(name) :], name])
            raise ValueError(f"these parts need each other in a circle: {circle}")
        if name not in self.made:
            if not isinstance(name, str) or not NAME.fullmatch(name):
                self.source.problem(key, f"'{name}' is no name for a part: letters, digits and _, a letter first")
                self.made[name] = None
                return None
            self.making.append(name)
            try:
                self.made[name] = self._spec(self.given[name], key, Part, name)
            finally:
                self.making.pop()
        return self.made[name]

    def _spec(self, spec: Any, key: Key, family: type[Part], name: str = "") -> Part | None:
        """A part from `{use: ..., option: ...}`, or from a name."""
        if isinstance(spec, str):
            try:
                return self._resolve(spec, family)
            except Broken:
                return None
            except ValueError as error:
                self.source.problem(key, str(error))
                return None
        if not isinstance(spec, Mapping) or not isinstance(spec.get("use"), str):
            self.source.problem(key, f"expected {{use: NAME, ...}}, not {spec!r}")
            return None
        try:
            entry = self.registry.get(spec["use"], *PART_FAMILIES)
            cls = entry.load()
        except RealismError as error:
            self.source.problem((*key, "use"), str(error))
            return None
        if not issubclass(cls, family):
            self.source.problem((*key, "use"), f"'{spec['use']}' is a {entry.family}; a {family.family} is needed here")
            return None
        options = {k: v for k, v in spec.items() if k != "use"}
        return self._made(cls, spec["use"], options, key, name or spec["use"])

    def _made(self, cls: type[Part], label: str, options: Mapping[str, Any], key: Key, name: str) -> Part | None:
        part, wrong = read_options(cls, label, options, self._resolve, self._only)
        for inner, message, hint in wrong:
            self.source.problem((*key, *inner), message, hint)
        if part is not None:
            part.part_name = name
        return part

    def _resolve(self, value: Any, family: type[Part]) -> Part:
        """What an option that takes a part holds: a name of this recipe, of the registry, or a spec in place."""
        if isinstance(value, str) and value in self.given:
            part = self._named(value, ("parts", value))
        elif isinstance(value, str) and (entry := self.registry.find(value, *PART_FAMILIES)):
            before = len(self.source.problems)
            part = self._made(entry.load(), value, {}, (value,), value)
            wrong = self.source.problems[before:]
            del self.source.problems[before:]
            if wrong:
                raise ValueError(f"'{value}' needs options, so it must be a part of this recipe: {wrong[0].message}")
        elif isinstance(value, Mapping):
            before = len(self.source.problems)
            part = self._spec(value, (), family)
            wrong = self.source.problems[before:]
            del self.source.problems[before:]
            if wrong:
                raise ValueError("; ".join(f"{p.key}: {p.message}" for p in wrong))
        elif isinstance(value, str):
            raise ValueError(f"no part named '{value}'{nearest(value, self.given)}; parts here: {listed(self.given)}")
        else:
            raise ValueError(f"expected the name of a {family.family}, not {value!r}")
        if part is None:
            raise Broken(value)
        if not isinstance(part, family):
            raise ValueError(f"'{value}' is a {part.family}; a {family.family} is needed here")
        return part

    def _only(self, family: type[Part]) -> Part | None:
        """The recipe's one part of a family."""
        parts = [self._named(name, ("parts", name)) for name in self.given if name not in self.making]
        found = [p for p in parts if isinstance(p, family)]
        if len(found) > 1:
            names = listed(p.part_name for p in found)
            raise ValueError(f"there are several parts that fit: name one of {names}")
        if not found and any(p is None for p in parts):
            raise Broken(family.family)
        return found[0] if found else None

    def _steps(self, entries: Any, key: Key) -> Iterator[tuple[Step, Key]]:
        if not isinstance(entries, list) or not entries:
            self.source.problem(key, "expected a list of steps, such as '- generate: {}'")
            return
        for i, entry in enumerate(entries):
            here = (*key, i)
            if isinstance(entry, Mapping) and "repeat" in entry:
                yield from self._repeat(entry, here)
                continue
            if isinstance(entry, str):
                entry = {entry: None}
            if not isinstance(entry, Mapping) or len(entry) != 1:
                self.source.problem(here, f"expected one verb with its options, not {entry!r}")
                continue
            verb, options = next(iter(entry.items()))
            if (step := self._step(verb, options, (*here, verb))) is not None:
                yield step, (*here, verb)

    def _repeat(self, entry: Mapping[str, Any], key: Key) -> Iterator[tuple[Step, Key]]:
        times = entry["repeat"]
        if type(times) is not int or not 1 <= times <= 1000:
            self.source.problem((*key, "repeat"), f"{times!r} is not allowed: expected how often, from 1 to 1000")
            return
        for other in set(entry) - {"repeat", "steps"}:
            self.source.problem((*key, other), f"repeat has no option '{other}'", "options: repeat, steps")
        steps = list(self._steps(entry.get("steps"), (*key, "steps")))
        if times * len(steps) > MOST_STEPS:
            self.source.problem((*key, "repeat"), f"this makes {times * len(steps)} steps; {MOST_STEPS} are allowed")
            return
        for _ in range(times):
            yield from steps

    def _step(self, verb: Any, options: Any, key: Key) -> Step | None:
        try:
            cls = self.registry.get(str(verb), "step").load()
        except RealismError as error:
            self.source.problem(key, str(error))
            return None
        options = {} if options is None else options
        if not isinstance(options, Mapping):
            self.source.problem(key, f"expected options as {{key: value}}, not {options!r}")
            return None
        options = self._passed_on(cls, options)
        step = self._made(cls, str(verb), options, key, str(verb))
        return step if isinstance(step, Step) else None

    def _passed_on(self, cls: type[Step], options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Options with those that the step does not know given to the part it passes them on to."""
        own = {o.name for o in options_of(cls)}
        others = {k: v for k, v in options.items() if k not in own}
        name = options.get(cls.passes_on_to)
        if not others or not isinstance(name, str):
            return options
        spec = self.given[name] if isinstance(self.given.get(name), Mapping) else {"use": name}
        return {k: v for k, v in options.items() if k in own} | {cls.passes_on_to: {**spec, **others}}

    def _flow(self, recipe: Recipe, steps: list[tuple[Step, Key]]) -> None:
        """Whether each step finds what it needs."""
        there: dict[str, None] = {"prompts": None} if recipe.prompts is not None else {}
        for step, key in steps:
            for sentence in step.missing(there):
                self.source.problem(key, sentence)
            there |= dict.fromkeys(step.makes(there))
