"""Whether each step of a recipe finds what it reads, and nothing is made in vain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import fields

from realism.data.artifacts import Artifact, Measures, References, Samples, ScoreTable, Weights
from realism.data.condition import Condition
from realism.data.inventory import Inventory
from realism.parts import Generator, Part, Reward, Step, Trainer, Tunable, parts_of
from realism.parts.step import all_reads, all_writes
from realism.recipe.source import Key, Source, dotted


def check_flow(steps: Sequence[tuple[Step, Key]], source: Source) -> None:
    """Walk through the steps with the keys of artifacts alone; problems are noted in the source."""
    available = Inventory[Artifact]()
    unread: dict[Artifact, Key] = {}
    trained: dict[str, Part] = {}
    held_out = {part.part_name for step, _ in steps for part in parts_of(step) if _is_held_out(part)}
    for step, key in steps:
        for place, name in _steered_by(step, all_reads(step, available), held_out):
            message = f"'{name}' is held out, so it may evaluate, but nothing may be selected, trained or guided by it"
            source.problem((*key, *place), message, "take another reward, or take 'held_out' from it")
        for part in parts_of(step):
            if isinstance(part, Tunable) and step.trained and trained.get(part.part_name, part) != part:
                message = f"'{part.part_name}' was trained before, with other options than it has here"
                source.problem(key, f"{message}: give each of the two a name of its own under 'parts'")
        for artifact in all_reads(step, available):
            unread.pop(artifact, None)
            if artifact not in available:
                source.problem((*key, *_option(step, artifact)), artifact.missing_message(available))
        for sentence in step.conflicts(available):
            option, colon, rest = sentence.partition(": ")
            about = colon and option in {f.name for f in fields(step)}  # type: ignore[arg-type]
            source.problem((*key, option) if about else key, rest if about else sentence)
        made = dict.fromkeys(all_writes(step, available))
        trained |= {part.part_name: part for part in parts_of(step) if Weights(part.part_name) in made}
        for gone in available.make(made):
            unread.pop(gone, None)
        for artifact in made:
            if artifact in unread:
                named = isinstance(artifact, Samples | Measures | References)
                hint = "give one of the two another 'name'" if named else ""
                source.problem(
                    key, f"this replaces {artifact} of {dotted(unread[artifact])}, which no step has used", hint
                )
            if key != ("prompts",):  # a recipe that extends this one may well read others
                unread[artifact] = key


def _is_held_out(part: Part) -> bool:
    return isinstance(part, Reward) and part.held_out


def _steered_by(step: Step, reads: Sequence[Artifact], held_out: Set[str]) -> Iterator[tuple[Key, str]]:
    """The rewards that are held out and by which a step selects, trains or guides, each with the option that names it:
    those whose scores an option names, and those that a trainer or a generator holds."""
    for scores in (one for one in reads if isinstance(one, ScoreTable) and one.reward.partition(".")[0] in held_out):
        for part in parts_of(step):
            if option := _option(part, scores):
                yield option if part is step else (), scores.reward.partition(".")[0]
    for holder in (part for part in parts_of(step) if isinstance(part, Trainer | Generator)):
        yield from (((), part.part_name) for part in parts_of(holder) if _is_held_out(part))


def _option(step: Part, artifact: Artifact) -> Key:
    """The option of the step that names the artifact, if one does."""
    for field in fields(step):  # type: ignore[arg-type]
        value = getattr(step, field.name)
        if isinstance(value, Condition):
            value = list(value.names)
        if artifact.name and (value == artifact.name or (isinstance(value, list) and artifact.name in value)):
            return (field.name,)
    return ()
