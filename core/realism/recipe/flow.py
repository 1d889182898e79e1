"""Whether each step of a recipe finds what it reads, and nothing is made in vain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from realism.data.artifacts import Artifact, Samples
from realism.data.condition import Condition
from realism.data.state import void
from realism.parts.step import Step, all_reads
from realism.recipe.source import Key, Source, dotted


def check_flow(steps: Sequence[tuple[Step, Key]], source: Source) -> None:
    """Walk through the steps with the keys of artifacts alone; problems are noted in the source."""
    there: dict[Artifact, None] = {}
    unread: dict[Artifact, Key] = {}
    for step, key in steps:
        for artifact in all_reads(step, there):
            unread.pop(artifact, None)
            if artifact not in there:
                source.problem((*key, *_option(step, artifact)), artifact.lacking(there))
        for sentence in step.conflicts(there):
            option, colon, rest = sentence.partition(": ")
            about = colon and option in {f.name for f in fields(step)}  # type: ignore[arg-type]
            source.problem((*key, option) if about else key, rest if about else sentence)
        made = dict.fromkeys(step.writes(there))
        for gone in void(there, made):
            del there[gone]
            unread.pop(gone, None)
        for artifact in made:
            if artifact in unread:
                hint = "give one of the two another 'name'" if isinstance(artifact, Samples) else ""
                source.problem(
                    key, f"this replaces {artifact} of {dotted(unread[artifact])}, which no step has used", hint
                )
            if key != ("prompts",):  # a recipe that extends this one may well read others
                unread[artifact] = key
        there |= made


def _option(step: Step, artifact: Artifact) -> Key:
    """The option of the step that names the artifact, if one does."""
    for field in fields(step):  # type: ignore[arg-type]
        value = getattr(step, field.name)
        if isinstance(value, Condition):
            value = list(value.names)
        if artifact.name and (value == artifact.name or (isinstance(value, list) and artifact.name in value)):
            return (field.name,)
    return ()
