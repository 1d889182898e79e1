"""Parts by name, and the suite each belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from realism.base.errors import RealismError
from realism.parts import Part
from realism.plugins.registry import PART_FAMILIES, Registry
from realism.recipe.options import read_options

Case = tuple[str, str]
"""The name of a part, and the name of a test of its suite."""


def make_part(name: str, options: Mapping[str, Any], registry: Registry) -> Part:
    """The registered part of that name with these options, as a recipe would make it.

    Raises RealismError with everything that is wrong, and for options that must be given and are not.
    """
    cls = registry.get(name, *PART_FAMILIES).load()

    def resolve(value: Any, family: type[Part]) -> Part:
        if isinstance(value, Part):
            return value
        spec = {"use": value} if isinstance(value, str) else dict(value)
        made = make_part(spec.pop("use"), spec, registry)
        if not isinstance(made, family):
            raise ValueError(f"'{value}' is no {family.family}")
        return made

    part, wrong = read_options(cls, name, options, resolve, lambda family: None)
    if part is None:
        raise RealismError(f"{name} cannot be made: " + "; ".join(message for _, message, _ in wrong))
    return part


def suite_of(family: str) -> type:
    """The suite of a family ("reward"). Raises RealismError for a family that has none."""
    from realism import testing

    suites: dict[str, type] = {
        "generator": testing.GeneratorSuite,
        "retriever": testing.RetrieverSuite,
        "index": testing.IndexSuite,
        "reward": testing.RewardSuite,
        "metric": testing.SetMetricSuite,
        "trainer": testing.TrainerSuite,
        "language": testing.LanguageModelSuite,
        "prompts": testing.PromptsSuite,
        "images": testing.ImagesSuite,
    }
    if family not in suites:
        raise RealismError(f"no suite for family '{family}'")
    return suites[family]


def cases(names: Iterable[str], registry: Registry) -> list[Case]:
    """Every test of every named part's suite. An unknown name is one case, which fails saying so."""
    found: list[Case] = []
    for name in names:
        entry = registry.find(name, *PART_FAMILIES)
        tests = [t for t in dir(suite_of(entry.family)) if t.startswith("test_")] if entry else ["test_is_registered"]
        found.extend((name, test) for test in tests)
    return found


def run_case(name: str, test: str, part: Callable[[], Part], registry: Registry) -> None:
    """Put a part through one test of its suite.

    What the contract says of it, and what a user got wrong, is told without a traceback; an error of the part has one.
    """
    import pytest

    try:
        entry = registry.get(name, *PART_FAMILIES)
        getattr(suite_of(entry.family)(), test)(part())
    except AssertionError as error:
        contract = test.removeprefix("test_").replace("_", " ")
        pytest.fail(f"{name} breaks the contract '{contract}': {error}", pytrace=False)
    except RealismError as error:
        pytest.fail(str(error), pytrace=False)
