"""Parts by name, and the suites each belongs to."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING
from typing import Any

from realism.base.errors import RealismError, listed
from realism.parts import Part, Trainer
from realism.parts.base import part_families
from realism.plugins.registry import Entry, Registry
from realism.recipe.options import kind_of, options_of, read_options

Case = tuple[str, str]
"""The name of a part, and the name of a test of its suites."""
UNMADE = "test_it_can_be_made"
"""The only case of a part that cannot be made."""


def find_part(name: str, registry: Registry) -> Entry:
    """The entry of a part or, where no part has that name, of a step. Raises RealismError if there is none."""
    return registry.get(name, *part_families(), "step")


def make_part(name: str, options: Mapping[str, Any], registry: Registry) -> Part:
    """The registered part or step of that name with these options, as a recipe would make it.

    Raises RealismError with everything that is wrong, and with the names of all options that must be given.
    """
    cls = find_part(name, registry).load()

    def resolve(value: Any, family: type[Part]) -> Part:
        if isinstance(value, Part):
            return value
        spec = {"use": value} if isinstance(value, str) else dict(value)
        made = make_part(spec.pop("use"), spec, registry)
        if not isinstance(made, family):
            raise ValueError(f"'{value}' is no {family.family}")
        return made

    if lacking := [o for o in options_of(cls) if o.default is MISSING and o.name not in options]:
        kinds = {o.name: kind_of(o.part_class) if o.part_class else o.doc.rstrip(".") for o in lacking}
        needs = listed(f"{key} ({what})" if what else key for key, what in kinds.items())
        raise RealismError(f"{name} needs {needs}: give {' '.join(f'--option {key}=...' for key in kinds)}")
    part, wrong = read_options(cls, name, options, resolve, lambda family: None)
    if part is None:
        raise RealismError(f"{name} cannot be made: " + "; ".join(message for _, message, _ in wrong))
    part.part_name = part.part_name or name
    return part


def suites_of(cls: type[Part]) -> list[type]:
    """The suites of a part's class: that of its family, of what it can do besides, and of every part. What a trainer
    saves goes through the suite of the part it trains as well."""
    from realism.testing.tunable import TrainedSuite

    own = [_suite(vars(base)["suite"]) for base in cls.__mro__ if "suite" in vars(base)]
    return [*own, TrainedSuite] if issubclass(cls, Trainer) else own


def _suite(path: str) -> type:
    module, _, name = path.partition(":")
    found: type = getattr(importlib.import_module(module), name)
    return found


def tests_of(cls: type[Part]) -> list[str]:
    """The names of all tests of a class's suites."""
    return list(dict.fromkeys(test for suite in suites_of(cls) for test in dir(suite) if test.startswith("test_")))


def cases(names: Iterable[str], registry: Registry) -> list[Case]:
    """Every test of every named part's suites. A name that is unknown or cannot be loaded is one case, which fails."""
    found: list[Case] = []
    for name in names:
        try:
            tests = tests_of(find_part(name, registry).load())
        except RealismError:
            tests = [UNMADE]
        found.extend((name, test) for test in tests)
    return found


def run_case(name: str, test: str, make: Callable[[], Part], registry: Registry) -> None:
    """Put a part through one test of its suites.

    What the contract says of it, and what a user got wrong, is shown without a traceback; an error of the part has one.
    """
    import pytest

    try:
        suites = suites_of(find_part(name, registry).load())
        part = make()
        if test != UNMADE:
            getattr(next(suite for suite in suites if hasattr(suite, test))(), test)(part)
        return
    except AssertionError as error:
        contract = test.removeprefix("test_").replace("_", " ")
        trouble = f"{name} breaks the contract '{contract}': {error}"
    except RealismError as error:
        trouble = str(error)
    pytest.fail(trouble, pytrace=False)
