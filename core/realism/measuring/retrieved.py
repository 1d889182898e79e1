"""Whether the references of arms show what their prompts ask for, beside what chance would give."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from realism.base.stats import bootstrap_groups
from realism.data.rows import Measure
from realism.measuring.arms import Arm, Gathered, Group
from realism.measuring.descriptions import described
from realism.measuring.relevance import ANY, FIRST, chance_of
from realism.measuring.reliability import Share, beside_chance, chance_lines

OF_TEXTS = "95 %, bootstrap over texts, which share what is retrieved; Wilson's where all are equal"
DESCRIPTIONS = {
    FIRST: "The share of prompts whose best reference shows the subject that the prompt asks for.",
    ANY: "The share of prompts of whose references at least one shows the subject that the prompt asks for.",
}
BY_CHANCE = "as many drawn at random from all that could be found"


def of_retrieved(gathered: Gathered, seed: int) -> Iterator[Measure]:
    """The share of prompts with a relevant reference, one that shows the prompt's subject, by arm and group, and what
    chance gives."""
    for name in (FIRST, ANY):
        arms = {called: arm for called, arm in gathered.arms.items() if name in arm.scores}
        by_group = [{c: s for c, arm in arms.items() if (s := _share(arm, name, g, seed))} for g in gathered.groups]
        lines = chance_lines(by_group)
        for group, shares in zip(gathered.groups, by_group, strict=True):
            about = {
                "seed": seed,
                "unit": "share",
                "interval": OF_TEXTS,
                "chance": BY_CHANCE,
                "n counts": "prompts",
            }
            detail = described(DESCRIPTIONS[name]) | about
            row = partial(Measure, name=name, group=group.name, detail=detail | ({"by": group.by} if group.by else {}))
            yield from (row(**numbers) for numbers in beside_chance(shares, lines))


def _share(arm: Arm, name: str, group: Group, seed: int) -> Share | None:
    """How many of one arm's prompts in a group have a relevant reference, each counted once; None if unknown."""
    at = arm.of(group)
    at = at[~np.isnan(np.asarray(arm.scores[name])[at])]
    _, first = np.unique(np.asarray(arm.prompts)[at], return_index=True)
    at = at[first]
    if not len(at):
        return None
    relevant, chance = (np.asarray(arm.scores[one])[at] for one in (name, chance_of(name)))
    return Share(bootstrap_groups(relevant, np.asarray(arm.texts)[at], seed), len(at), float(chance.mean()))
