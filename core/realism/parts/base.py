"""What every part is: a dataclass whose fields are its options."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar

FAMILIES: dict[str, type[Part]] = {}
"""The class that declares each family, by its name; that of a plugin too, once its module is imported."""


class Part(ABC):
    """A piece that a recipe names and configures.

    A subclass is a dataclass: its fields are the keys of the recipe, typed and documented once. A field annotated with
    a family (`encoder: Retriever`) takes the name of another part. Nothing heavy happens when a part is made: weights
    load at first use, and heavy libraries are imported where they are used, so that a recipe can be checked at once.
    """

    family: ClassVar[str] = "part"
    """What the registry calls it: `registry.reward(...)`. A class that sets this declares a family."""
    noun: ClassVar[str] = ""
    """How a sentence names one of the family; "" if by the family's name."""
    suite: ClassVar[str] = "realism.testing:PartSuite"
    """The conformance suite of the family, or of a capability, at `module:Class`."""
    part_name = ""
    """What the recipe calls this part; set when the recipe is read."""

    speed_options: ClassVar[tuple[str, ...]] = ()
    """Options that decide how fast it works, not what it does (batch, device): changing them keeps what is done."""

    evaluates_against: ClassVar[tuple[str, ...]] = ()
    """Options whose images this part evaluates against; the step `index` keeps those images out of databases."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "family" in vars(cls):
            FAMILIES.setdefault(cls.family, cls)

    def inputs(self) -> list[Path]:
        """Files and folders outside the recipe that decide what this part does (weights, tables, images). Their
        contents enter the fingerprint of every step that uses the part."""
        return []

    def options_error(self) -> str | None:
        """One sentence if the options do not fit together or name what is not there, else None. Must be quick."""
        return None

    def release(self) -> None:  # noqa: B027 - most parts hold nothing
        """Let go of weights and whatever else is large; a run calls it when a step that uses the part is followed by
        one that does not. They load again at the next use."""

    def __getstate__(self) -> dict[str, Any]:
        """What goes along to another process: the options and where a retriever keeps its vectors; not what was loaded,
        which loads there at first use."""
        kept = ["part_name", "_memory", *(f.name for f in fields(self))] if is_dataclass(self) else ["part_name"]
        return {name: value for name, value in vars(self).items() if name in kept}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """How an option that holds a part is read: a part, a part's name, or `{use: ...}` written in place."""
        from pydantic_core import core_schema

        def read(value: Any, info: core_schema.ValidationInfo[Any]) -> Part:
            if isinstance(value, cls):
                return value
            if info.context is None:
                raise ValueError(f"expected a {cls.family}, not {value!r}")
            return info.context(value, cls)

        return core_schema.with_info_plain_validator_function(read)


def part_families() -> tuple[str, ...]:
    """The families of parts, of which no two may have one name; steps have names of their own."""
    return tuple(family for family in FAMILIES if family != "step")


def noun_of(family: str) -> str:
    """How a sentence names one of a family: "reward", "language model", "source of prompts"."""
    return FAMILIES[family].noun or family if family in FAMILIES else family


def one_of(family: str) -> str:
    """The same with its article: "a reward", "an index"."""
    noun = noun_of(family)
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def parts_of(part: Part) -> Iterator[Part]:
    """A part and all parts that its options hold, however deep: each once, itself first."""
    seen: set[int] = set()
    waiting: list[object] = [part]
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, Part) and id(value) not in seen:
            seen.add(id(value))
            yield value
            if is_dataclass(value):
                waiting.extend(getattr(value, f.name) for f in fields(value) if f.init)
        elif isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
