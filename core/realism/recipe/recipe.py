"""A recipe that has been checked whole: its parts made, its steps in order, everything wrong reported at once."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from realism.base.errors import Problem, RecipeError, listed, nearest, shown
from realism.parts import Part, Prompts, Step
from realism.plugins.registry import Registry
from realism.recipe.flow import check_flow
from realism.recipe.load import SETTINGS, TOP, is_file, load
from realism.recipe.options import whole
from realism.recipe.parts import PartMaker
from realism.recipe.source import Key, Source, TooMany
from realism.recipe.steps import StepMaker

RECIPE_NAME = re.compile(r"\w[\w ./-]{0,99}")


@dataclass(frozen=True)
class Recipe:
    """What to do. data is the resolved recipe, from which all the rest was made; overrides are what was put in on the
    command line."""

    name: str
    description: str
    seeds: tuple[int, ...]
    skipped_limit: float
    data: dict[str, Any]
    parts: dict[str, Part]
    steps: tuple[Step, ...]
    overrides: tuple[str, ...] = ()

    @property
    def seed(self) -> int:
        """The first seed."""
        return self.seeds[0]


def read_recipe(name: str, overrides: list[str], registry: Registry) -> Recipe:
    """Read and check a recipe. Raises RecipeError with everything wrong with it, or RealismError if there is none."""
    try:
        return _read(name, overrides, registry)
    except TooMany as error:
        raise RecipeError(name, sorted(error.problems, key=_by_place), more=True) from None


def _read(name: str, overrides: list[str], registry: Registry) -> Recipe:
    source = load(name, overrides, registry)
    reader = _Reader(source, registry)
    plain = re.sub(r"[^\w ./-]+", "-", Path(name).stem if is_file(Path(name)) else name).lstrip(" .-/")[:100]
    choices = source.data.get("choose")
    named = [str(v) for v in choices.values() if not isinstance(v, dict | list)] if isinstance(choices, dict) else []
    recipe = reader.recipe("-".join([plain or "recipe", *named])[:100])
    if source.problems:
        raise RecipeError(name, sorted(source.problems, key=_by_place))
    return replace(recipe, overrides=tuple(overrides))


def _by_place(problem: Problem) -> tuple[int, str, int]:
    name, _, line = problem.where.replace("line ", "line:").rpartition(":")
    order = 0 if name == "line" else 1 if name else 2
    return order, name, int(line) if line.isdigit() else 0


class _Reader:
    def __init__(self, source: Source, registry: Registry):
        self.source, self.registry = source, registry
        self.parts = PartMaker(source, registry)

    def recipe(self, name: str) -> Recipe:
        data = self.source.data
        for key in data:
            if key not in TOP:
                self.source.problem((key,), f"a recipe has no key '{key}'{nearest(key, TOP)}", f"keys: {listed(TOP)}")
        for part in self.parts.given:
            self.parts.named(part, ("parts", part))
        prompts = self._prompts()
        others = StepMaker(self.parts).steps(data.get("steps"))
        steps = [*prompts, *others]
        data["name"] = self._text("name") or name
        if not RECIPE_NAME.fullmatch(data["name"]):
            allowed = "letters, digits, space and _ . / -, the first a letter or digit, at most 100"
            self.source.problem(("name",), f"{shown(data['name'])} is no name for a recipe: {allowed}")
        first = self._whole("seed", SETTINGS["seed"], range(2**32), "a whole number from 0 to 4294967295 (2^32 - 1)")
        count = self._whole("seeds", SETTINGS["seeds"], range(1, 101), "how many seeds, a whole number from 1 to 100")
        recipe = Recipe(
            name=data["name"],
            description=self._text("description"),
            seeds=tuple(range(first, first + count)),
            skipped_limit=self._limit(),
            data={k: v for k, v in data.items() if k != "choose"},  # what was chosen is in it
            parts={k: v for k, v in self.parts.made.items() if v is not None},
            steps=tuple(step for step, _ in steps),
        )
        if self._has_all(prompts):
            check_flow(steps, self.source)
        return recipe

    def _has_all(self, prompts: list[tuple[Step, Key]]) -> bool:
        """Whether nothing is missing before the first step that is wrong, so that what those lack is no mere follow-up
        of another mistake."""
        data, extends = self.source.data, self.source.is_broken(("extends",))
        return not extends and data.keys() <= set(TOP) and bool(prompts or data.get("prompts") is None)

    def _prompts(self) -> list[tuple[Step, Key]]:
        """The step that reads what the key `prompts` names, if there is one."""
        if self.source.data.get("prompts") is None:
            return []
        source = self.parts.spec(self.source.data["prompts"], ("prompts",), Prompts)
        return [] if source is None else [(self.registry.get("prompts", "step").load()(source), ("prompts",))]

    def _text(self, key: str) -> str:
        value = self.source.data.get(key)
        if isinstance(value, dict | list):
            self.source.problem((key,), f"expected a text, not {shown(value)}")
            return ""
        return "" if value is None else str(value)

    def _whole(self, key: str, default: int, allowed: range, expected: str) -> int:
        value = whole(self.source.data.get(key, default))
        if type(value) is int and value in allowed:
            return value
        self.source.problem((key,), f"{shown(value)} is not allowed: expected {expected}")
        return default

    def _limit(self) -> float:
        limits = self.source.data.get("limits")
        limits = {} if limits is None else limits
        if not isinstance(limits, dict):
            self.source.problem(("limits",), f"expected {{skipped: SHARE}}, not {shown(limits)}")
            return 0.0
        for key in limits:
            if key != "skipped":
                message = f"limits has no key '{key}'{nearest(key, ['skipped'])}"
                self.source.problem(("limits", key), message, "keys: skipped, the share of items that may be skipped")
        value = limits.get("skipped", SETTINGS["limits"]["skipped"])
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
            self.source.problem(("limits", "skipped"), f"{shown(value)} is not allowed: expected a share from 0 to 1")
            return 0.0
        return float(value)
