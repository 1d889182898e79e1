"""Whether the references of one sample are relevant: of the subject that its prompt asks for."""

from __future__ import annotations

import math

from realism.data.rows import NOT_KNOWN, Sample

FIRST, ANY = "retrieval precision@1", "retrieval hit rate"
"""Of the best reference, and of any of several; names of measures, which no reward can have."""


def chance_of(name: str) -> str:
    """What chance gives in place of one of these."""
    return f"chance of {name}"


def relevance(sample: Sample) -> dict[str, float]:
    """0 or 1 for a sample's best reference and for any of several, each with what chance gives (NaN if not known);
    nothing where the subject of the prompt or of a reference is not known."""
    shown, chance = sample.reference_subjects, math.nan if sample.chance == NOT_KNOWN else sample.chance
    if not sample.subject or not shown or "" in shown:
        return {}
    relevant = {FIRST: float(shown[0] == sample.subject), chance_of(FIRST): chance}
    if len(shown) > 1:
        relevant |= {ANY: float(sample.subject in shown), chance_of(ANY): 1 - (1 - chance) ** len(shown)}
    return relevant
