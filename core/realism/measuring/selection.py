"""What `select` made of the samples: how many were accepted, how many a prompt needs, examples of both."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from realism.base.tables import Row
from realism.data.rows import Exhibit, Sample
from realism.measuring.evaluation import ArmScores

SELECTED_FROM = "samples"
"""The key of a measure's detail that says that it tells of samples to learn from, not of held-out ones."""
EXAMPLES = 12
"""Prompts shown as examples of a selection."""


@dataclass(frozen=True)
class Verdict(Row):
    """What was made of one prompt's samples: how many there were, how many were accepted, and the mean of each reward
    over all of them."""

    prompt_id: str
    text: str
    samples: int
    accepted: int
    means: dict[str, Any] = field(default_factory=dict)


def round_name(slot: str, there: Collection[str]) -> str:
    """What one selection is called, by its slot `ARM:NUMBER`: the arm, and the round if it was selected from twice."""
    arm, _, number = slot.rpartition(":")
    again = f"selection:{arm}:2" in there
    return f"{arm}, round {number}" if again else arm


def within(samples: int, accepted: int, k: int) -> float:
    """The chance, in [0, 1], that k of a prompt's samples, drawn at random, hold an accepted one.

    1 - C(n - c, k) / C(n, k) for n samples of which c are accepted: unbiased for the chance that k new samples hold
    one. Source: Chen et al. 2021 (Codex) eq. 1. Raises ValueError unless 1 <= k <= n.
    """
    if not 1 <= k <= samples:
        raise ValueError(f"expected from 1 to {samples} samples, not {k}")
    return 1 - math.comb(samples - accepted, k) / math.comb(samples, k)


def budgets(rounds: Mapping[str, Sequence[Verdict]]) -> list[int]:
    """The numbers of samples for which `within` is told: 1, 2, 4, ... and as many as the prompts have."""
    most = max((v.samples for verdicts in rounds.values() for v in verdicts), default=0)
    doubling = [2**i for i in range(most.bit_length()) if 2**i < most]
    return [*doubling, most] if most else []


class Told(NamedTuple):
    """Something to measure of the selections: its name and group ("" for all), one value a prompt by the name of each
    round, and the reward whose values they are, "" for shares."""

    name: str
    group: str
    values: dict[str, ArmScores]
    reward: str = ""


def measured(rounds: Mapping[str, Sequence[Verdict]]) -> Iterator[Told]:
    """What to measure of the selections, given by the name of each round.

    First the share of samples that were accepted, then of prompts with an accepted one within so many samples
    (DreamSync, figure 5, is the last of these), then each reward's mean over all samples.
    """

    def values(of: Mapping[str, list[float]]) -> dict[str, ArmScores]:
        return {name: ArmScores(of[name], [v.prompt_id for v in verdicts]) for name, verdicts in rounds.items()}

    def accepted_within(k: int) -> dict[str, ArmScores]:
        enough = {name: [v for v in verdicts if v.samples >= k] for name, verdicts in rounds.items()}
        return {
            name: ArmScores([within(v.samples, v.accepted, k) for v in some], [v.prompt_id for v in some])
            for name, some in enough.items()
        }

    shares = {name: [v.accepted / v.samples for v in verdicts] for name, verdicts in rounds.items()}
    if shares:
        yield Told("accepted samples", "", values(shares))
    for k in budgets(rounds):
        yield Told("prompts with an accepted sample", f"of {k}", accepted_within(k))
    for reward in dict.fromkeys(r for verdicts in rounds.values() for v in verdicts for r in v.means):
        means = {name: [v.means.get(reward, math.nan) for v in verdicts] for name, verdicts in rounds.items()}
        yield Told(f"{reward} of samples to select from", "", values(means), reward)


def example(
    kept: Sequence[Sample],
    rejected: Sequence[Sample],
    samples: int,
    scores: Mapping[str, Mapping[str, float]],
    details: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> Exhibit:
    """The first kept sample of a prompt and the first two rejected ones, each with its scores and what it got wrong.

    samples: how many there were. scores and details: sample id -> reward -> value, and what stands behind it."""
    shown = [("accepted", s) for s in kept[:1]] + [("rejected", s) for s in rejected[: 2 if kept else 3]]
    said = [f"{word}: {_reasons(scores.get(s.id, {}), details.get(s.id, {}))}" for word, s in shown]
    text = f"{len(kept)} kept, {len(rejected)} of {samples} not accepted"
    return Exhibit((kept or rejected)[0].text, text, [s.image for _, s in shown], said)


def _reasons(scores: Mapping[str, float], details: Mapping[str, Mapping[str, Any]]) -> str:
    """The scores of a sample, and the questions that were answered wrongly (see `Scores`)."""
    values = [f"{reward} {value:.3g}" for reward, value in scores.items()]
    answers = (answer for detail in details.values() for answer in detail.get("answers", ()))
    wrong = [f"{a['question']} {a['answer'] or 'no answer'}, not {a['expected']}" for a in answers if not a["right"]]
    return "; ".join([*values, *dict.fromkeys(wrong)])


def shown_as_examples(prompts: Sequence[str]) -> set[str]:
    """The prompts to show, drawn by a hash of their ids, so that each round shows the same."""
    return set(sorted(prompts, key=lambda p: hashlib.blake2b(p.encode(), digest_size=8).digest())[:EXAMPLES])
