"""Steps: the verbs of a recipe."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from realism.data.artifacts import PLAIN, Artifact, Samples, Weights
from realism.parts.base import Part, parts_of
from realism.parts.returned import artifacts_error, require
from realism.parts.tunable import Tunable

if TYPE_CHECKING:
    from realism.parts.work import Work

Artifacts = Collection[Artifact]
"""The artifacts that are there, in the order they were first made."""
NONE = "none"
"""What `generate` calls no references."""


class Step(Part):
    """A verb. It reads artifacts that earlier steps wrote, and writes artifacts of its own.

    What follows from these is no business of the step: what it lacks is said before anything runs, what tells of
    something it has made anew holds no longer, and it is kept if its options, the parts it uses, what these have learnt
    and what it reads are those of an earlier run.
    """

    family = "step"
    suite = "realism.testing:StepSuite"
    scope: ClassVar[Literal["seed", "recipe", "run"]] = "seed"
    """What it is done for: each seed of the recipe, as its result depends on `work.seed`; the recipe once, for all
    seeds; or the run as a whole, anew each time and after all others."""
    trained = True
    """Whether its parts use what `train` steps before have taught them; a step may have an option of that name."""

    def title(self) -> str:
        """What the step is called in progress and report."""
        return type(self).__name__.lower()

    @abstractmethod
    def reads(self, available: Artifacts) -> Sequence[Artifact]:
        """What it needs, whether or not it is there. What its parts have learnt is added."""

    @abstractmethod
    def writes(self, available: Artifacts) -> Sequence[Artifact]:
        """What it makes."""

    def conflicts(self, available: Artifacts) -> list[str]:
        """One sentence for each thing that keeps it from being done, besides lacking what it reads."""
        return []

    def depends_on(self, steps: Sequence[Step]) -> Sequence[Part]:
        """Parts that other steps of the recipe hold and that decide this step's result as well: `work.depends`. Of
        these, retrievers may be used."""
        return ()

    @abstractmethod
    def run(self, work: Work) -> object:
        """Do it, or go on where a killed run left off: write each artifact to its place in `work.folder`."""


class Composite(Part):
    """A verb that stands for others, which are done in its place."""

    family = "step"

    @abstractmethod
    def steps(self, before: Sequence[Step]) -> Sequence[Step]:
        """The steps to do, after those before. Raises ValueError, in one sentence, if these lack what it needs."""


def trained_weights(part: Part, available: Artifacts) -> list[Artifact]:
    """What trainers have made for a part or any part it uses, of what is there."""
    names = [Weights(inner.part_name) for inner in parts_of(part) if isinstance(inner, Tunable)]
    return [weights for weights in dict.fromkeys(names) if weights in available]


def all_reads(step: Step, available: Artifacts) -> list[Artifact]:
    """What decides a step's result: what it reads, and what its parts have learnt."""
    reads = step.reads(available)
    require(step, artifacts_error("reads", reads))
    return list(dict.fromkeys([*reads, *(trained_weights(step, available) if step.trained else ())]))


def all_writes(step: Step, available: Artifacts) -> list[Artifact]:
    """What a step makes."""
    writes = step.writes(available)
    require(step, artifacts_error("writes", writes))
    return list(writes)


def name_error(name: str) -> str | None:
    """One sentence if a result cannot be called so, else None."""
    if PLAIN.fullmatch(name):
        return None
    return f"'{name}' is no name for a result: letters, digits, space, '_', '.' and '-', at most 61"


def references_error(name: str) -> str | None:
    """One sentence if references cannot be called so, else None."""
    if name == NONE:
        return "references cannot be called 'none', which stands for no references: give them another 'name'"
    return name_error(name)


def called_twice(parts: Sequence[Part], family: str) -> str | None:
    """One sentence if two parts have one name, by which tables would mix them up, else None."""
    names = [part.part_name for part in parts]
    twice = next((name for name in names if names.count(name) > 1), None)
    return f"two {family}s are called '{twice}': give each a name of its own under 'parts'" if twice else None


def arms(available: Artifacts) -> list[str]:
    """The arms that have samples, in the order they were made."""
    return [samples.arm for samples in Samples.among(available)]


def samples_of(available: Artifacts, wanted: Sequence[str]) -> list[Samples]:
    """The samples that a step works on: of the arms it names, or of all, of which there must be one."""
    return [Samples(arm) for arm in wanted or arms(available) or ["samples"]]


def first_arm(available: Artifacts, wanted: str) -> Samples:
    """The samples of the arm that a step names, or of the first."""
    return Samples(wanted) if wanted else samples_of(available, [])[0]
