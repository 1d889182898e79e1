"""The step `select`: keep the samples that are good enough."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from pathlib import Path

from realism.base.errors import RealismError
from realism.base.tables import chunks, count_rows, read, write_shard
from realism.data.artifacts import Artifact, Exhibits, Maps, Samples, ScoreTable, Selection
from realism.data.condition import Condition
from realism.data.rows import Exhibit, PromptSelection, Sample, Score
from realism.measuring.scores import Scored, rewards_of, scored
from realism.measuring.selection import example, hash_of
from realism.parts.step import Artifacts, Step, name_error, samples_of
from realism.parts.work import Shard, Work

SHARD = 256
EXAMPLES = 12
"""Prompts shown as examples of a selection."""


@dataclass(frozen=True)
class Judged:
    """The samples of one prompt: those that are kept, all that were accepted, and those that were not."""

    kept: list[Scored]
    accepted: list[Scored]
    rejected: list[Scored]

    @property
    def first(self) -> Sample:
        """One of them."""
        return (self.accepted or self.rejected)[0][0]

    def prompt_selection(self) -> PromptSelection:
        """What was made of them."""
        given: dict[str, list[Score]] = {}
        for _, scores in (*self.accepted, *self.rejected):
            for reward, score in scores.items():
                given.setdefault(reward, []).append(score)
        means = {reward: sum(s.value for s in scores) / len(scores) for reward, scores in given.items()}
        lower = [reward for reward, scores in given.items() if not scores[0].higher_is_better]
        count = len(self.accepted) + len(self.rejected)
        return PromptSelection(self.first.prompt_id, self.first.text, count, len(self.accepted), means, lower)


@dataclass
class Select(Step):
    """Keep samples by their scores, in every arm or in some: those that meet a condition, then each prompt's best.

    What was accepted is measured by `evaluate`, round by round, and shown in the report.
    """

    where: Condition | None = None
    """What a sample must meet, such as faithful >= 0.9; names are rewards that were scored before."""
    best: str = ""
    """Keep of each prompt only the sample that this reward puts first."""
    arms: list[str] = field(default_factory=list)
    """Which arms to select from; all, if none is named."""
    name: str = ""
    """What to call what is kept of the one arm that is named, which then stays as it is; by default, what is kept takes
    the place of its arm."""

    scope = "recipe"

    def title(self) -> str:
        return f"select {self.name}".strip()

    def options_error(self) -> str | None:
        if self.name and len(self.arms) != 1:
            return "'name' needs the one arm to select from: name it, alone, in 'arms'"
        if self.name and (wrong := name_error(self.name)):
            return wrong
        return None if self.where or self.best else "select needs 'where', 'best' or both"

    def reads(self, available: Artifacts) -> list[Artifact]:
        samples = samples_of(available, self.arms)
        names = sorted(self.where.names) if self.where else []
        names = [*names, *([self.best] if self.best else [])]
        needed = [ScoreTable(one.arm, name) for one in samples for name in names]
        kept = [ScoreTable(one.arm, name) for one in samples for name in rewards_of(available, one.arm)]
        maps = [one for samples_of_arm in samples for one in Maps.among(available, samples_of_arm.arm)]
        arms = [self.name or one.arm for one in samples]
        before = [one for arm in arms for one in Selection.among(available, arm)[-1:]]  # it numbers this one
        return list(dict.fromkeys([*samples, *needed, *kept, *maps, *before]))

    def writes(self, available: Artifacts) -> list[Artifact]:
        made: list[Artifact] = []
        for arm in (one.arm for one in samples_of(available, self.arms)):
            name = self.name or arm
            scores = [ScoreTable(name, reward) for reward in rewards_of(available, arm)]
            maps = [Maps(name, one.reward) for one in Maps.among(available, arm)]
            made += [Samples(name), *scores, *maps, *_told(name, available)]
        return made

    def run(self, work: Work) -> None:
        for one in samples_of(work.state, self.arms):
            self._select(one.arm, work)

    def _select(self, arm: str, work: Work) -> None:
        name = self.name or arm
        selection, examples = _told(name, work.state)
        samples = work.folder / Samples(name).place
        rewards = rewards_of(work.state, arm)
        write = partial(_write, name, samples, {each: work.folder / ScoreTable(name, each).place for each in rewards})
        also = [Samples(name), *(ScoreTable(name, each) for each in rewards)]
        work.map(selection, chunks(self._judged(arm, work), SHARD), write, unit="prompts", also=also)
        if not count_rows(samples):
            raise RealismError(self._none_left(arm, work))
        self._keep_maps(arm, samples, work)
        prompts = (
            prompt_selection.prompt_id for prompt_selection in read(work.folder / selection.place, PromptSelection)
        )
        wanted = set(heapq.nsmallest(EXAMPLES, prompts, key=hash_of))
        work.write(examples, [_example(j) for j in self._judged(arm, work) if j.first.prompt_id in wanted])

    def _keep_maps(self, arm: str, samples: Path, work: Work) -> None:
        """The heatmaps of what is kept go along with it."""
        ids = {sample.id for sample in read(samples, Sample)} if Maps.among(work.state, arm) else set()
        for maps in Maps.among(work.state, arm):
            rows = (row for row in work.read(maps) if row.id in ids)
            work.write(made := Maps(self.name or arm, maps.reward), [])  # there may be none
            for number, some in enumerate(chunks(rows, SHARD)):
                work.write(made, some, number)

    def _judged(self, arm: str, work: Work) -> Iterator[Judged]:
        seen: set[str] = set()
        for prompt, of_prompt in groupby(scored(work.state, arm), key=lambda one: one[0].prompt_id):
            if prompt in seen:
                raise RealismError(f"select: the samples of prompt '{prompt}' in arm '{arm}' do not follow one another")
            seen.add(prompt)
            accepted: list[Scored] = []
            rejected: list[Scored] = []
            for sample, scores in of_prompt:
                values = {reward: score.value for reward, score in scores.items()}
                good = (self.where is None or self.where(values)) and (not self.best or self.best in values)
                (accepted if good else rejected).append((sample, scores))
            kept = sorted(accepted, key=lambda one: -_rank(one[1][self.best]))[:1] if self.best else accepted
            yield Judged(kept, accepted, rejected)

    def _none_left(self, arm: str, work: Work) -> str:
        best: dict[str, Score] = {}
        count = 0
        for _, scores in scored(work.state, arm):
            count += 1
            best |= {reward: max(score, best.get(reward, score), key=_rank) for reward, score in scores.items()}
        reached = ", ".join(f"{reward} {score.value:.3g}" for reward, score in best.items()) or "no score at all"
        return (
            f"select: none of {count:,} samples of arm '{arm}' meets 'where' ({self.where}); the best have {reached}: "
            "loosen it, or draw more prompts or more pictures of each"
        )


def _rank(score: Score) -> float:
    return score.value if score.higher_is_better else -score.value


def _write(arm: str, samples: Path, scores: Mapping[str, Path], number: int, judged: list[Judged]) -> Shard:
    """Write the samples that are kept, and their scores, shard by shard alike."""
    kept = [one for each in judged for one in each.kept]
    for reward, table in scores.items():
        write_shard([given[reward] for _, given in kept if reward in given], Score, table, number)
    write_shard([replace(sample, arm=arm) for sample, _ in kept], Sample, samples, number)
    return [each.prompt_selection() for each in judged], []


def _example(judged: Judged) -> Exhibit:
    return example(judged.kept, judged.rejected, len(judged.accepted) + len(judged.rejected))


def _told(arm: str, available: Artifacts) -> tuple[Selection, Exhibits]:
    """The tables of a selection: verdicts and examples. Rounds of one arm are counted."""
    number = 1 + len(Selection.among(available, arm))
    return Selection(arm, number), Exhibits(f"{arm}, selection {number}")
