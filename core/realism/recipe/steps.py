"""The steps of a recipe: from verbs with options to a list, with what is repeated written out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from realism.base.errors import RealismError, listed, nearest, shown
from realism.parts import Composite, Step, Trainer
from realism.recipe.options import Wrong, options_of, whole
from realism.recipe.parts import PartMaker
from realism.recipe.source import Key

BRACES = re.compile(r"\{(\w+)\}")
MAX_STEPS = 10_000
MAX_TIMES = 1000
MAX_FILLED = 3_000_000
"""Characters that all repeats may make, each value counted as one more."""


class StepMaker:
    """Makes steps; what is wrong with them is noted in the source."""

    def __init__(self, parts: PartMaker):
        self._parts, self.source, self.registry = parts, parts.source, parts.registry
        self._left = MAX_FILLED

    def steps(self, entries: Any) -> list[tuple[Step, Key]]:
        """The steps before the first that is wrong, or all, each with the key that names it; problems of the others are
        noted as well."""
        if (size := _size(entries)) > MAX_STEPS:
            key: Key = ("steps",)
            for i, entry in enumerate(entries):
                if _size([entry]) > MAX_STEPS:
                    key, size = ("steps", i, "repeat"), _size([entry])
                    self._fills(entry["repeat"], key)
                    break
            self.source.problem(key, f"this makes {size:,} steps of the recipe; {MAX_STEPS:,} are allowed")
            return []
        made: list[tuple[Step, Key]] = []
        whole = True
        for step, key in self._steps(entries, ("steps",)):
            if step is None or not whole:
                whole = False
                continue
            try:
                steps = [step] if isinstance(step, Step) else step.steps([earlier for earlier, _ in made])
            except ValueError as error:
                self.source.problem(key, str(error))
                whole = False
                continue
            made.extend((one, key) for one in steps)
            if len(made) > MAX_STEPS:
                self.source.problem(key, f"with this, the recipe has more than {MAX_STEPS:,} steps")
                break
        return made

    def _steps(self, entries: Any, key: Key) -> Iterator[tuple[Step | Composite | None, Key]]:
        """All steps below a key; None where one is wrong."""
        if not isinstance(entries, list) or not entries:
            given = "" if entries is None else f", not {shown(entries)}"
            self.source.problem(key, f"expected a list of steps, such as '- generate: {{}}'{given}")
            yield None, key
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
                yield None, here
            elif len(entry) != 1:
                advice = "begin each verb with '-', and indent its options below it"
                self.source.problem(here, f"expected one verb, not {len(entry)} keys ({', '.join(entry)})", advice)
                yield None, here
            else:
                verb, options = next(iter(entry.items()))
                yield self._step(verb, options, (*here, verb)), (*here, verb)

    def _repeat(self, entry: Mapping[str, Any], key: Key) -> Iterator[tuple[Step | Composite | None, Key]]:
        before = len(self.source.problems)
        fills = self._fills(entry["repeat"], (*key, "repeat"))
        unknown = [k for k in entry if k not in ("repeat", "steps")]
        for other in unknown:
            message = f"repeat has no option '{other}'{nearest(other, ['steps'])}"
            self.source.problem((*key, other), message, "options: repeat, steps")
        if "steps" not in entry and unknown:
            yield None, key
            return
        written = entry.get("steps")
        self._misspelt(written, fills[0], (*key, "steps"))
        if len(self.source.problems) > before:
            yield None, key
        for fill in fills:
            try:
                filled = self._filled(written, fill)
            except Wrong as error:
                self.source.problem((*key, "repeat"), str(error))
                yield None, key
                return
            yield from self._steps(filled, (*key, "steps"))

    def _filled(self, written: Any, fill: Mapping[str, Any]) -> Any:
        """What is written below `repeat`, with {iteration} and the like filled in. A text that is nothing else becomes
        the value itself, which may be a number. Raises Wrong where that makes too much."""
        self._count(1)
        if isinstance(written, str):
            if (whole := BRACES.fullmatch(written)) and whole[1] in fill and whole[1] != "iteration":
                self._count(_characters(fill[whole[1]]))
                return fill[whole[1]]
            return BRACES.sub(lambda found: self._text(found, fill), written)
        if isinstance(written, dict):
            inner = fill
            if "repeat" in written:  # what a repeat below fills in itself is left to it
                values = written["repeat"] if isinstance(written["repeat"], list) else []
                own = {"iteration", "value", *(name for v in values if isinstance(v, dict) for name in v)}
                inner = {name: value for name, value in fill.items() if name not in own}
            return {k: self._filled(v, fill if k == "repeat" else inner) for k, v in written.items()}
        return [self._filled(v, fill) for v in written] if isinstance(written, list) else written

    def _text(self, found: re.Match[str], fill: Mapping[str, Any]) -> str:
        text = str(fill.get(found[1], found[0]))
        self._count(len(text))
        return text

    def _count(self, characters: int) -> None:
        self._left -= characters
        if self._left < 0:
            raise Wrong(f"what is repeated makes more than {MAX_FILLED:,} characters of the recipe")

    def _misspelt(self, written: Any, fill: Mapping[str, Any], key: Key) -> None:
        """Note what is in braces below `repeat` and is nearly a name that is filled in."""
        if isinstance(written, str):
            for name in BRACES.findall(written):
                if name not in fill and (near := nearest(name, fill)):
                    self.source.problem(key, f"'{{{name}}}' is not filled in{near}", f"filled in: {listed(fill)}")
        elif isinstance(written, Mapping):
            for inner, value in written.items():
                self._misspelt(value, fill, (*key, inner))
        elif isinstance(written, list):
            for i, value in enumerate(written):
                self._misspelt(value, fill, (*key, i))

    def _fills(self, times: Any, key: Key) -> list[dict[str, Any]]:
        """What is filled in for each round: `iteration` from 1, and `value`, or the keys of the value if it has any."""
        times = whole(times)
        if type(times) is int and 1 <= times <= MAX_TIMES:
            return [{"iteration": i} for i in range(1, times + 1)]
        if isinstance(times, list) and 1 <= len(times) <= MAX_TIMES and not any(isinstance(v, list) for v in times):
            each = [value if isinstance(value, dict) else {"value": value} for value in times]
            return [{"iteration": i, **value} for i, value in enumerate(each, 1)]
        self.source.problem(
            key,
            f"{shown(times)} is not allowed: expected how often, a whole number from 1 to {MAX_TIMES}, or a list of "
            "values",
        )
        return [{"iteration": 1}]

    def _step(self, verb: str, options: Any, key: Key) -> Step | Composite | None:
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
        step = self._parts.make(cls, verb, self._passed_on(cls, options), key, verb)
        return step if isinstance(step, Step | Composite) else None

    def _passed_on(self, cls: type, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Options with those that the step does not know given to its trainer, if it takes one."""
        own = {o.name: o for o in options_of(cls)}
        others = {k: v for k, v in options.items() if k not in own}
        takes = next((n for n, o in own.items() if o.part_class and issubclass(o.part_class, Trainer)), "")
        name = options.get(takes)
        if not others or not isinstance(name, str):
            return options
        given = self._parts.given.get(name)
        spec = given if isinstance(given, Mapping) else {"use": given or name}
        return {k: v for k, v in options.items() if k in own} | {takes: {**spec, **others}}


def _size(entries: Any) -> int:
    """How many steps a list stands for, repeats counted; none is less than one, as it takes its time."""
    if not isinstance(entries, list):
        return 1
    repeats = [e for e in entries if isinstance(e, Mapping) and "repeat" in e]
    return max(1, len(entries) - len(repeats) + sum(_times(e["repeat"]) * _size(e.get("steps")) for e in repeats))


def _characters(value: Any) -> int:
    if isinstance(value, dict | list):
        return 1 + sum(_characters(v) for v in (value.values() if isinstance(value, dict) else value))
    return len(value) if isinstance(value, str) else 1


def _times(repeat: Any) -> int:
    """How often; once, where that is wrong."""
    times = len(repeat) if isinstance(repeat, list) else whole(repeat)
    return times if type(times) is int and 1 <= times <= MAX_TIMES else 1
