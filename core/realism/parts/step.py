"""Steps: the verbs of a recipe."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from realism.base.errors import listed, nearest
from realism.parts.base import Part
from realism.parts.tunable import learnt_slots

if TYPE_CHECKING:
    from realism.data.state import State
    from realism.recipe.recipe import Recipe
    from realism.run.work import Work


NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_ .-]{0,60}")
"""What arms and references may be called."""
NONE = "none"
"""What `generate` calls no references."""
NAME_SAID = "letters, digits, space, '_', '.' and '-', at most 61"


class Step(Part):
    """A verb. It reads what earlier steps left in named slots of the state and leaves its own results there.

    Slots: `prompts`; `index:NAME` of a retriever; `references:NAME`; `samples:ARM`; `scores:ARM:REWARD`; `weights:NAME`
    of a part; `measures`. A step is kept when its options, the parts it uses, what these have learnt and the slots it
    reads are those of an earlier run.
    """

    family = "step"
    always: ClassVar[bool] = False
    """Whether it is done anew in every run, after all others (for cheap steps that show the run as a whole)."""
    seeded: ClassVar[bool] = True
    """Whether its result depends on `work.seed`; if not, runs over several seeds share it."""

    passes_on_to: ClassVar[str] = ""
    """The option, a part, that takes the options which the step itself does not know."""

    def title(self) -> str:
        """What the step is called in progress and report."""
        return type(self).__name__.lower()

    def missing(self, there: Collection[str]) -> list[str]:
        """One sentence for each thing that no earlier step provides; there holds the slots filled before."""
        return []

    @abstractmethod
    def reads(self, there: Collection[str]) -> list[str]:
        """Which of the slots that are there decide this step's result; what its parts have learnt is added to them."""

    def with_learnt(self) -> bool:
        """Whether its parts use what `train` steps before have taught them."""
        return True

    def voids(self, there: Collection[str]) -> list[str]:
        """Which of the slots that are there no longer hold once it is done, as what they speak of is replaced: here
        what was found for earlier prompts, if it makes prompts."""
        return [s for s in there if s.startswith("references:")] if "prompts" in self.makes(there) else []

    def stands_for(self, before: Sequence[Step]) -> Sequence[Step]:
        """The steps to do in its place, after those before; most stand for themselves. Raises ValueError, in one
        sentence, if these lack what it needs."""
        return [self]

    def depends_on(self, recipe: Recipe) -> Sequence[Part]:
        """Parts that other steps hold and that decide this step's result as well."""
        return ()

    @abstractmethod
    def makes(self, there: Collection[str]) -> list[str]:
        """Which slots it fills."""

    @abstractmethod
    def run(self, state: State, work: Work) -> Mapping[str, Path]:
        """Do it, or go on where a killed run left off, and return each slot it makes with its path below
        `work.folder`."""


def all_reads(step: Step, there: Collection[str]) -> list[str]:
    """Which of the slots that are there decide a step's result: those it names, and what its parts have learnt."""
    learnt = learnt_slots(step, there) if step.with_learnt() else []
    return list(dict.fromkeys([*step.reads(there), *learnt]))


def index_missing(there: Collection[str], retriever: Part) -> list[str]:
    """One sentence if no step before has indexed a database with this retriever."""
    if f"index:{retriever.part_name}" in there:
        return []
    return [f"no database is indexed with '{retriever.part_name}': put a step 'index' before this"]


def references_error(name: str) -> str | None:
    """One sentence if references cannot be called so, else None."""
    if name == NONE:
        return "references cannot be called 'none', which stands for no references: give them another 'name'"
    return None if NAME.fullmatch(name) else f"'{name}' is no name for references: {NAME_SAID}"


def called_twice(parts: Sequence[Part], family: str) -> str | None:
    """One sentence if two parts have one name, by which tables and slots would mix them up, else None."""
    names = [part.part_name for part in parts]
    twice = next((name for name in names if names.count(name) > 1), None)
    return f"two {family}s are called '{twice}': give each a name of its own under 'parts'" if twice else None


def arms(there: Collection[str]) -> list[str]:
    """The arms that have samples, in the order they were made."""
    return named(there, "samples")


def chosen(there: Collection[str], wanted: Sequence[str]) -> list[str]:
    """The arms that a step works on: those it names, or all."""
    return [arm for arm in arms(there) if not wanted or arm in wanted]


def arms_missing(there: Collection[str], wanted: Sequence[str]) -> list[str]:
    """One sentence for each arm that a step names in its option `arms` and no earlier step makes."""
    found = arms(there)
    return [
        f"arms: no arm '{arm}'{nearest(arm, found)}; arms here: {listed(found)}" for arm in wanted if arm not in found
    ]


def named(there: Collection[str], kind: str) -> list[str]:
    """The names of the slots `kind:NAME`, in the order they were made."""
    return [s.removeprefix(f"{kind}:") for s in there if s.startswith(f"{kind}:")]
