"""A recipe that has been checked whole: its parts made, its steps in order, everything wrong reported at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from realism.base.errors import Problem, RealismError, RecipeError, listed, nearest, shown
from realism.parts import Output, Part, Prompts, Reward, parts_of
from realism.parts.step import Step, all_reads
from realism.plugins.registry import PART_FAMILIES, Registry, a_part
from realism.recipe.load import TOP, load
from realism.recipe.options import Broken, Wrong, kind_of, options_of, read_options
from realism.recipe.source import Key, Source, dotted

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
RECIPE_NAME = re.compile(r"\w[\w ./-]{0,99}")
MOST_STEPS = 10_000
MOST_SEED = 2**32 - 1
MOST_SEEDS = 100


@dataclass(frozen=True)
class Recipe:
    """What to do. data is the resolved recipe, from which all the rest was made."""

    name: str
    description: str
    seeds: tuple[int, ...]
    aside_limit: float
    data: dict[str, Any]
    parts: dict[str, Part]
    prompts: Prompts | None
    steps: tuple[Step, ...]

    @property
    def seed(self) -> int:
        """The first seed."""
        return self.seeds[0]

    @property
    def rewards(self) -> dict[str, Output]:
        """What the values of the rewards mean that its steps, or parts of these, use: by the full name of each."""
        used = (part for step in self.steps for part in parts_of(step))
        return {name: output for part in used if isinstance(part, Reward) for name, output in part.meanings().items()}


def read_recipe(name: str, overrides: list[str], registry: Registry) -> Recipe:
    """Read and check a recipe. Raises RecipeError with everything wrong with it, or RealismError if there is none."""
    source = load(name, overrides, registry)
    reader = _Reader(source, registry)
    plain = re.sub(r"[^\w ./-]+", "-", Path(name).stem if Path(name).is_file() else name).lstrip(" .-/")[:100]
    choices = source.data.get("choose")
    named = [str(v) for v in choices.values()] if isinstance(choices, dict) else []
    recipe = reader.recipe("-".join([plain or "recipe", *named])[:100])
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
            self.source.lose(
                ("parts",), f"expected names with parts, such as {{judge: {{use: NAME}}}}, not {shown(parts)}"
            )
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
        steps: list[tuple[Step, Key]] = []
        for step, place in self._steps(data.get("steps"), ("steps",)):
            try:
                steps.extend([(one, place) for one in step.stands_for([earlier for earlier, _ in steps])])
            except ValueError as error:
                self.source.problem(place, str(error))
        data["name"] = self._text("name") or name
        if not RECIPE_NAME.fullmatch(data["name"]):
            allowed = "letters, digits, space and _ . / -, the first a letter or digit, at most 100"
            self.source.problem(("name",), f"{shown(data['name'])} is no name for a recipe: {allowed}")
        recipe = Recipe(
            name=data["name"],
            description=self._text("description"),
            seeds=tuple(range(first := self._seed(), first + self._seeds())),
            aside_limit=self._limit(),
            data={k: v for k, v in data.items() if k != "choose"},  # what was chosen is in it
            parts={k: v for k, v in self.made.items() if v is not None},
            prompts=prompts,  # type: ignore[arg-type]
            steps=tuple(step for step, _ in steps),
        )
        if not self.source.problems:
            self._flow(recipe, steps)
        return recipe

    def _text(self, key: str) -> str:
        value = self.source.data.get(key)
        if isinstance(value, dict | list):
            self.source.problem((key,), f"expected a text, not {shown(value)}")
            return ""
        return "" if value is None else str(value)

    def _seed(self) -> int:
        value = self.source.data.get("seed", 0)
        if type(value) is int and 0 <= value <= MOST_SEED:
            return value
        self.source.problem(
            ("seed",), f"{shown(value)} is not allowed: expected a whole number from 0 to {MOST_SEED} (2^32 - 1)"
        )
        return 0

    def _seeds(self) -> int:
        value = self.source.data.get("seeds", 1)
        if type(value) is int and 1 <= value <= MOST_SEEDS:
            return value
        message = f"{shown(value)} is not allowed: expected how many seeds, a whole number from 1 to {MOST_SEEDS}"
        self.source.problem(("seeds",), message)
        return 1

    def _limit(self) -> float:
        limits = self.source.data.get("limits") or {}
        if not isinstance(limits, dict):
            self.source.problem(("limits",), f"expected {{aside: SHARE}}, not {shown(limits)}")
            return 0.0
        for key in limits:
            if key != "aside":
                message = f"limits has no key '{key}'{nearest(key, ['aside'])}"
                self.source.problem(("limits", key), message, "keys: aside, the share of items that may be set aside")
        value = limits.get("aside", 0.1)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
            self.source.problem(("limits", "aside"), f"{shown(value)} is not allowed: expected a share from 0 to 1")
            return 0.0
        return float(value)

    def _named(self, name: str, key: Key) -> Part | None:
        """The part of that name in the recipe, made at first need."""
        if name in self.making:
            circle = " -> ".join([*self.making[self.making.index(name) :], name])
            raise ValueError(f"these parts need each other in a circle: {circle}")
        if name not in self.made:
            if not NAME.fullmatch(name):
                self.source.problem(key, f"'{name}' is no name for a part: letters, digits and _, a letter first")
            self.making.append(name)
            spec = self.given[name]
            try:
                self.made[name] = self._spec({"use": spec} if isinstance(spec, str) else spec, key, Part, name)
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
                self.source.problem(key, str(error), getattr(error, "hint", ""))
                return None
        if not isinstance(spec, Mapping):
            self.source.problem(key, f"expected {{use: NAME, option: value, ...}}, not {shown(spec)}")
            return None
        use = spec.get("use")
        if not isinstance(use, str):
            given = f", not {shown(use)}" if "use" in spec else ""
            self.source.problem(key, f"expected 'use: NAME'{given}", f"there are: {self._names(family)}")
            return None
        entry = self.registry.find(use, *PART_FAMILIES)
        if entry is None:
            names = [e.name for e in self.registry.entries(*PART_FAMILIES)]
            hint = f"there are: {self._names(family)}"
            self.source.problem((*key, "use"), f"nothing named '{use}' can be used{nearest(use, names)}", hint)
            return None
        try:
            cls = entry.load()
        except RealismError as error:
            self.source.problem((*key, "use"), str(error))
            return None
        if not issubclass(cls, family):
            message = f"'{use}' is {a_part(entry.family)}; {kind_of(family)} is needed here"
            self.source.problem((*key, "use"), message)
            return None
        options = {k: v for k, v in spec.items() if k != "use"}
        return self._made(cls, use, options, key, name or use)

    def _names(self, family: type[Part]) -> str:
        """The registered parts of a family (of all, for Part)."""
        families = PART_FAMILIES if family is Part else (family.family,)
        return listed(e.name for e in self.registry.entries(*families))

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
            raise ValueError(f"'{value}' is {a_part(part.family)}; {kind_of(family)} is needed here")
        return part

    def _in_place(self, spec: Mapping[str, Any], family: type[Part]) -> Part | None:
        """A part that has no name in the recipe. Raises ValueError with all that is wrong with it."""
        before = len(self.source.problems)
        part = self._spec(spec, (), family)
        wrong = self.source.problems[before:]
        del self.source.problems[before:]
        if wrong:
            if set(spec) == {"use"} and not any(p.key in ("", "use") for p in wrong):
                said = f"'{spec['use']}' needs options: " + "; ".join(p.message for p in wrong)
            else:
                said = "; ".join(f"{p.key}: {p.message}" if p.key else p.message for p in wrong)
            raise Wrong(said, wrong[0].hint)
        return part

    def _only(self, family: type[Part]) -> Part | None:
        """The recipe's one part of a family."""
        names = [n for n in self.given if n not in self.making and self._family(n) in (None, family.family)]
        parts = [self._named(name, ("parts", name)) for name in names]
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
        entry = self.registry.find(use, *PART_FAMILIES) if isinstance(use, str) else None
        return entry.family if entry else None

    def _steps(self, entries: Any, key: Key) -> Iterator[tuple[Step, Key]]:
        if not isinstance(entries, list) or not entries:
            given = "" if entries is None else f", not {shown(entries)}"
            self.source.problem(key, f"expected a list of steps, such as '- generate: {{}}'{given}")
            return
        for i, entry in enumerate(entries):
            here = (*key, i)
            if isinstance(entry, Mapping) and "repeat" in entry:
                yield from self._repeat(entry, here)
                continue
            if isinstance(entry, str):
                entry = {entry: None}
            if not isinstance(entry, Mapping) or not entry:
                self.source.problem(here, f"expected a verb with its options, not {shown(entry)}")
            elif len(entry) != 1:
                advice = "begin each verb with '-', and indent its options below it"
                self.source.problem(here, f"expected one verb, not {len(entry)} keys ({', '.join(entry)})", advice)
            else:
                verb, options = next(iter(entry.items()))
                if (step := self._step(verb, options, (*here, verb))) is not None:
                    yield step, (*here, verb)

    def _repeat(self, entry: Mapping[str, Any], key: Key) -> Iterator[tuple[Step, Key]]:
        times = entry["repeat"]
        allowed = type(times) is int and 1 <= times <= 1000
        if not allowed:
            message = f"{shown(times)} is not allowed: expected how often, a whole number from 1 to 1000"
            self.source.problem((*key, "repeat"), message)
        unknown = [k for k in entry if k not in ("repeat", "steps")]
        for other in unknown:
            message = f"repeat has no option '{other}'{nearest(other, ['steps'])}"
            self.source.problem((*key, other), message, "options: repeat, steps")
        if "steps" not in entry and unknown:
            return
        count = times if allowed else 1
        written = entry.get("steps")
        if (size := count * _size(written)) > MOST_STEPS:
            message = f"this makes {size:,} steps of the recipe; {MOST_STEPS:,} are allowed"
            self.source.problem((*key, "repeat"), message)
            return
        for i in range(1, count + 1):
            yield from self._steps(_filled(written, str(i)), (*key, "steps"))

    def _step(self, verb: str, options: Any, key: Key) -> Step | None:
        entry = self.registry.find(verb, "step")
        if entry is None:
            verbs = ["repeat", *(e.name for e in self.registry.entries("step"))]
            self.source.problem(key, f"no step is called '{verb}'{nearest(verb, verbs)}", f"steps: {listed(verbs)}")
            return None
        try:
            cls = entry.load()
        except RealismError as error:
            self.source.problem(key, str(error))
            return None
        options = {} if options is None else options
        if not isinstance(options, Mapping):
            message = f"expected options, such as '{verb}: {{option: value}}', not {shown(options)}"
            self.source.problem(key, message, f"options: {listed(o.name for o in options_of(cls))}")
            return None
        options = self._passed_on(cls, options)
        step = self._made(cls, verb, options, key, verb)
        return step if isinstance(step, Step) else None

    def _passed_on(self, cls: type[Step], options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Options with those that the step does not know given to the part it passes them on to."""
        own = {o.name for o in options_of(cls)}
        others = {k: v for k, v in options.items() if k not in own}
        name = options.get(cls.passes_on_to)
        if not others or not isinstance(name, str):
            return options
        given = self.given.get(name)
        spec = given if isinstance(given, Mapping) else {"use": given or name}
        return {k: v for k, v in options.items() if k in own} | {cls.passes_on_to: {**spec, **others}}

    def _flow(self, recipe: Recipe, steps: list[tuple[Step, Key]]) -> None:
        """Whether each step finds what it needs, and nothing is made in vain."""
        there: dict[str, None] = {"prompts": None} if recipe.prompts is not None else {}
        unread: dict[str, Key] = {}
        for step, key in steps:
            for sentence in step.missing(there):
                option, colon, rest = sentence.partition(": ")
                about = colon and option in {o.name for o in options_of(type(step))}
                self.source.problem((*key, option) if about else key, rest if about else sentence)
            for slot in all_reads(step, there):
                unread.pop(slot, None)
            made = step.makes(there)
            for slot in step.voids(there):
                there.pop(slot, None)
            for slot in made:
                if slot in unread:
                    self.source.problem(key, *_in_vain(slot, unread[slot]))
                unread[slot] = key
                there[slot] = None


def _size(entries: Any) -> int:
    """How many steps a list stands for, repeats counted."""
    if not isinstance(entries, list):
        return 1
    repeats = [e for e in entries if isinstance(e, Mapping) and type(e.get("repeat")) is int]
    return len(entries) - len(repeats) + sum(max(1, e["repeat"]) * _size(e.get("steps")) for e in repeats)


def _filled(value: Any, iteration: str) -> Any:
    """What is written below `repeat`, with {iteration} filled in, from 1."""
    if isinstance(value, str):
        return value.replace("{iteration}", iteration)
    if isinstance(value, dict):
        return {k: _filled(v, iteration) for k, v in value.items()}
    return [_filled(v, iteration) for v in value] if isinstance(value, list) else value


def _in_vain(slot: str, key: Key) -> tuple[str, str]:
    kind, _, name = slot.partition(":")
    named = f"{kind} '{name}'" if name else kind
    hint = "give one of the two another 'arm'" if kind == "samples" else ""
    return f"this replaces the {named} of {dotted(key)}, which no step has used", hint
