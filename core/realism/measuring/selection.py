"""What `select` made of the samples: how many were accepted, how many a prompt needs, examples of both."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from realism.data.artifacts import Selection
from realism.data.rows import Exhibit, PromptSelection, Score
from realism.measuring.evaluation import ArmScores
from realism.measuring.scores import Scored

SELECTED_FROM = "samples"
"""The key of the detail of a measure of training samples, not of held-out ones."""


def round_name(one: Selection, available: Collection[Selection]) -> str:
    """What one selection is called: the arm, and the round if it was selected from twice."""
    again = sum(other.arm == one.arm for other in available) > 1
    return f"{one.arm}, round {one.number}" if again else one.arm


def pass_at_k(samples: int, accepted: int, k: int) -> float:
    """The chance, in [0, 1], that k of a prompt's samples, drawn at random, hold an accepted one.

    1 - C(n - c, k) / C(n, k) for n samples of which c are accepted: unbiased for the chance that k new samples hold
    one. Source: Chen et al. 2021 (Codex) eq. 1. Raises ValueError unless 1 <= k <= n.
    """
    if not 1 <= k <= samples:
        raise ValueError(f"expected from 1 to {samples} samples, not {k}")
    return 1 - math.comb(samples - accepted, k) / math.comb(samples, k)


def budgets(rounds: Mapping[str, Sequence[PromptSelection]]) -> list[int]:
    """The numbers of samples for which `pass_at_k` is measured: 1, 2, 4, ... and as many as the prompts have."""
    most = max((v.samples for verdicts in rounds.values() for v in verdicts), default=0)
    doubling = [2**i for i in range(most.bit_length()) if 2**i < most]
    return [*doubling, most] if most else []


ACCEPTANCE = "The share of a prompt's samples that meet the conditions of the selection."
PASS_AT_K = (
    "The chance that, of k of a prompt's samples drawn at random, at least one is accepted. Chen et al. 2021, eq. 1."
)


class SelectionMeasure(NamedTuple):
    """A measure of the selections: its name and group ("" for all), one value a prompt by the name of each
    round, the reward whose values they are, "" for shares, and what it is ("" where the reward says it)."""

    name: str
    group: str
    values: dict[str, ArmScores]
    reward: str = ""
    description: str = ""


def selection_measures(rounds: Mapping[str, Sequence[PromptSelection]]) -> Iterator[SelectionMeasure]:
    """What to measure of the selections, given by the name of each round.

    First the share of samples that were accepted, then of prompts with an accepted one within so many samples
    (DreamSync, figure 5, is the last of these), then each reward's mean over all samples.
    """

    def values(of: Mapping[str, list[float]]) -> dict[str, ArmScores]:
        return {name: ArmScores(of[name], [v.prompt_id for v in verdicts]) for name, verdicts in rounds.items()}

    def accepted_within(k: int) -> dict[str, ArmScores]:
        enough = {name: [v for v in verdicts if v.samples >= k] for name, verdicts in rounds.items()}
        return {
            name: ArmScores([pass_at_k(v.samples, v.accepted, k) for v in some], [v.prompt_id for v in some])
            for name, some in enough.items()
        }

    shares = {name: [v.accepted / v.samples for v in verdicts] for name, verdicts in rounds.items()}
    if shares:
        yield SelectionMeasure("acceptance rate", "", values(shares), description=ACCEPTANCE)
    for k in budgets(rounds):
        yield SelectionMeasure("pass@k", f"k = {k}", accepted_within(k), description=PASS_AT_K)
    for reward in dict.fromkeys(r for verdicts in rounds.values() for v in verdicts for r in v.means):
        means = {name: [v.means.get(reward, math.nan) for v in verdicts] for name, verdicts in rounds.items()}
        yield SelectionMeasure(f"{reward} before selection", "", values(means), reward)


def example(kept: Sequence[Scored], rejected: Sequence[Scored], samples: int) -> Exhibit:
    """The first kept sample of a prompt and the first two rejected ones, each with its scores and what it got wrong.

    samples: how many there were."""
    shown = [("accepted", one) for one in kept[:1]] + [("rejected", one) for one in rejected[: 2 if kept else 3]]
    captions = [f"{word}: {_reasons(scores)}" for word, (_, scores) in shown]
    text = f"{len(kept)} kept, {len(rejected)} of {samples} not accepted"
    return Exhibit((kept or rejected)[0][0].text, text, [sample.image for _, (sample, _) in shown], captions)


def _reasons(scores: Mapping[str, Score]) -> str:
    """The scores of a sample, and the questions that were answered incorrectly (see `realism.Scores`)."""
    values = [f"{reward} {score.value:.3g}" for reward, score in scores.items()]
    answers = (answer for score in scores.values() for answer in score.detail.get("answers", ()))
    wrong = [f"{a['question']} {a['answer'] or 'no answer'}, not {a['expected']}" for a in answers if not a["right"]]
    return "; ".join([*values, *dict.fromkeys(wrong)])


def hash_of(prompt: str) -> bytes:
    """By its order the prompts shown as examples are drawn, so that each round shows the same."""
    return hashlib.blake2b(prompt.encode(), digest_size=8).digest()
