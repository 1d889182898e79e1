"""The step `select`: keep the samples that are good enough."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from realism.base.errors import RealismError, listed, nearest
from realism.base.tables import chunks, count_rows, read, write_part
from realism.data.condition import Condition
from realism.data.rows import Aside, Exhibit, Sample
from realism.data.state import State
from realism.measuring.scores import details_of, known_rewards, scores_of
from realism.measuring.selection import Verdict, example, shown_as_examples
from realism.parts.step import NAME, NAME_SAID, Step, arms, arms_missing, chosen, named
from realism.run.work import Work

SHARD = 256
Judged = tuple[list[Sample], list[Sample], list[Sample]]
"""Of one prompt: the samples that are kept, all that were accepted, and those that were not."""


@dataclass
class Select(Step):
    """Keep samples by their scores, in every arm or in some: those that meet a condition, then each prompt's best.

    What was accepted and what was not is told by `evaluate`, round by round, and shown in the report.
    """

    where: Condition | None = None
    """What a sample must meet, such as faithful >= 0.9; names are rewards that were scored before."""
    best: str = ""
    """Keep of each prompt only the sample that this reward puts first."""
    arms: list[str] = field(default_factory=list)
    """Which arms to select from; all, if none is named."""
    into: str = ""
    """The arm to make of what is kept of the one arm that is named, which then stays as it is; by default, what is kept
    takes the place of its arm."""

    seeded = False

    def title(self) -> str:
        return "select"

    def options_error(self) -> str | None:
        if self.into and len(self.arms) != 1:
            return "'into' makes one arm of another: name that one alone in 'arms'"
        if self.into and not NAME.fullmatch(self.into):
            return f"'{self.into}' is no name for an arm: {NAME_SAID}"
        return None if self.where or self.best else "select needs 'where', 'best' or both"

    def missing(self, there: Collection[str]) -> list[str]:
        if not arms(there):
            return ["there are no samples to select from: put a step 'generate' before this"]
        known = known_rewards(there)
        wrong = self.where.unknown(known) if self.where else None
        sentences = [f"where: {wrong}" + ("" if known else "; put a step 'score' before this")] if wrong else []
        if self.best and self.best not in known:
            near = nearest(self.best, known)
            sentences.append(f"best: no reward '{self.best}' was scored; scored: {listed(known)}{near}")
        return [*sentences, *arms_missing(there, self.arms)]

    def reads(self, there: Collection[str]) -> list[str]:
        wanted = chosen(there, self.arms)
        return [s for s in there if s.startswith(("samples:", "scores:")) and s.split(":")[1] in wanted]

    def makes(self, there: Collection[str]) -> list[str]:
        made = [self.into or arm for arm in chosen(there, self.arms)]
        return [slot for arm in made for slot in (f"samples:{arm}", *_told(arm, there))]

    def voids(self, there: Collection[str]) -> list[str]:
        replaced = self.into not in ("", *self.arms)
        return [s for s in there if replaced and s.startswith(f"scores:{self.into}:")]

    def run(self, state: State, work: Work) -> Mapping[str, Path]:
        slots: dict[str, Path] = {}
        for arm in chosen(state, self.arms):
            slots |= self._select(arm, state, work)
        return slots

    def _select(self, arm: str, state: State, work: Work) -> dict[str, Path]:
        scores = scores_of(state, arm)
        table = state.path(f"samples:{arm}")

        def judged() -> Iterator[Judged]:
            return self._judged(table, scores, work)

        selected = work.folder / "samples" / arm

        def judge(number: int, shard: list[Judged]) -> tuple[Sequence[Verdict], Sequence[Aside]]:
            write_part([sample for kept, *_ in shard for sample in kept], Sample, selected, number)
            return [_verdict(a + r, len(a), scores) for _, a, r in shard], []

        verdicts = work.map(chunks(judged(), SHARD), judge, Verdict, f"verdicts/{arm}", unit="prompts")
        if not count_rows(selected):
            raise RealismError(
                f"select: none of {len(scores):,} samples of arm '{arm}' meets 'where' ({self.where}); the best have "
                f"{_best(scores)}: loosen it, or draw more prompts or more pictures of each"
            )
        examples = work.folder / "examples" / arm
        write_part(list(_examples(judged, scores, state, arm)), Exhibit, examples, 0)
        name = self.into or arm
        return {f"samples:{name}": selected} | dict(zip(_told(name, state), (verdicts, examples), strict=True))

    def _judged(self, table: Path, scores: Mapping[str, Mapping[str, float]], work: Work) -> Iterator[Judged]:
        sign = -1.0 if self.best and work.run.higher_is_better(self.best) else 1.0
        for _, of_prompt in groupby(read(table, Sample), key=lambda s: s.prompt_id):
            accepted: list[Sample] = []
            rejected: list[Sample] = []
            for s in of_prompt:
                values = scores.get(s.id, {})
                good = (self.where is None or self.where(values)) and (not self.best or self.best in values)
                (accepted if good else rejected).append(s)
            kept = sorted(accepted, key=lambda s: sign * scores[s.id][self.best])[:1] if self.best else accepted
            yield kept, accepted, rejected


def _told(arm: str, there: Collection[str]) -> tuple[str, str]:
    """The slots that tell of a selection: verdicts and examples. Rounds of one arm are counted."""
    number = 1 + sum(name.startswith(f"{arm}:") for name in named(there, "selection"))
    return f"selection:{arm}:{number}", f"exhibits:{arm}, selection {number}"


def _best(scores: Mapping[str, Mapping[str, float]]) -> str:
    """The greatest value of each reward, in words."""
    best: dict[str, float] = {}
    for values in scores.values():
        best |= {reward: max(value, best.get(reward, value)) for reward, value in values.items()}
    return ", ".join(f"{reward} {value:.3g}" for reward, value in best.items()) or "no score at all"


def _verdict(samples: list[Sample], accepted: int, scores: Mapping[str, Mapping[str, float]]) -> Verdict:
    given: dict[str, list[float]] = {}
    for s in samples:
        for reward, value in scores.get(s.id, {}).items():
            given.setdefault(reward, []).append(value)
    means = {reward: sum(values) / len(values) for reward, values in given.items()}
    return Verdict(samples[0].prompt_id, samples[0].text, len(samples), accepted, means)


def _examples(
    judged: Callable[[], Iterator[Judged]], scores: Mapping[str, Mapping[str, float]], state: State, arm: str
) -> Iterator[Exhibit]:
    shown = shown_as_examples([(accepted or rejected)[0].prompt_id for _, accepted, rejected in judged()])
    of_shown = [one for one in judged() if (one[1] or one[2])[0].prompt_id in shown]
    ids = {s.id for _, accepted, rejected in of_shown for s in (*accepted, *rejected)}
    details = details_of(state, arm, ids)
    for kept, accepted, rejected in of_shown:
        yield example(kept, rejected, len(accepted) + len(rejected), scores, details)
