"""The step `write_prompts`: a language model writes the prompts of the run."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le
from realism.base.errors import RealismError
from realism.base.tables import Row, chunks, count_rows, read, read_shard, shard_path
from realism.data import artifacts
from realism.data.artifacts import Artifact
from realism.data.rows import PromptRow, Skipped
from realism.parts import LanguageModel, Prompts
from realism.parts.step import Artifacts, Step
from realism.parts.work import Shard, Table, Work

from realism_dreamsync.demonstrations import seed_texts
from realism_dreamsync.formats import read_prompts
from realism_dreamsync.instructions import CATEGORIES, prompts_chat
from realism_dreamsync.near_duplicates import Unlike
from realism_dreamsync.retries import Unread, ask

SHARD = 256
PATIENCE = 5
"""So many times more lists are asked for than would do if no prompt was like another; then it ends with fewer."""


@dataclass(frozen=True)
class ListRow(Row):
    """A list of prompts as it was written: with the seed prompts of which round, of what kind, how long."""

    number: int
    round: int
    category: str
    words: int
    prompts: list[str] = field(default_factory=list)


@dataclass
class WritePrompts(Step):
    """Let a language model write prompts, in place of any before: lists of them, each in the manner of a few seed
    prompts, about one category. What is like a seed prompt or an earlier prompt is dropped.

    Source: DreamSync, section 4.1 and appendix A.1. Each prompt's category and round are in its metadata.
    """

    writer: LanguageModel
    """Writes the prompts. Give it a temperature, or its lists will be much alike."""
    count: Annotated[int, Ge(1), Le(1_000_000)] = 1000
    """How many prompts to write."""
    seeds: Prompts | None = None
    """Where the seed prompts come from; by default fifteen that come with the plugin."""
    rounds: Annotated[int, Ge(1), Le(1000)] = 3
    """How often the seed prompts change."""
    shown: Annotated[int, Ge(1), Le(1000)] = 5
    """How many seed prompts each list is written in the manner of."""
    each: Annotated[int, Ge(1), Le(1000)] = 10
    """How many prompts to ask for at a time."""
    categories: list[str] = field(default_factory=lambda: list(CATEGORIES))
    """What matters in a list's prompts is drawn from these; by default the twelve of TIFA."""
    words: tuple[Annotated[int, Ge(1), Le(1000)], Annotated[int, Ge(1), Le(1000)]] = (8, 25)
    """About how many words a prompt should have, drawn from this range for each list."""
    alike: Annotated[float, Gt(0), Le(1)] = 0.7
    """A prompt is dropped that shares so many of its pairs of neighbouring words with another (intersection by union);
    1 drops only repetitions."""
    attempts: Annotated[int, Ge(1), Le(100)] = 3
    """How often to ask for a list before it is skipped."""
    shard: Annotated[int, Ge(1), Le(10_000)] = 16
    """How many lists are asked for, and written down, at a time."""

    def title(self) -> str:
        return "write_prompts"

    def options_error(self) -> str | None:
        if not self.categories:
            return "categories is empty: name at least one, or leave it out for the twelve of TIFA"
        if self.words[0] > self.words[1]:
            return f"words {list(self.words)} is no range: the first number must not be the larger one"
        return None

    def reads(self, available: Artifacts) -> list[Artifact]:
        return []

    def writes(self, available: Artifacts) -> list[Artifact]:
        return [artifacts.PromptTable()]

    def run(self, work: Work) -> None:
        seeds = list(dict.fromkeys(seed_texts(self.seeds)))
        random.Random(f"{work.seed} seeds").shuffle(seeds)
        write = partial(self._write, seeds, work.seed)
        lists = work.map(Table(ListRow, "lists"), self._orders(seeds, work), write, unit="lists")
        written = 0
        for number, rows in enumerate(chunks(islice(self._prompts(lists, seeds), self.count), SHARD)):
            work.write(artifacts.PromptTable(), rows, number)
            written += len(rows)
        if not written:
            raise RealismError("write_prompts: every prompt written is like a seed prompt; raise 'alike'")
        if written < self.count:
            work.warn(
                f"write_prompts: {written} of {self.count} prompts, as all others were like earlier ones; give the "
                "writer a higher temperature or raise 'alike'"
            )
        work.say(f"{written:,} prompts of {count_rows(lists):,} lists")

    def _orders(self, seeds: Sequence[str], work: Work) -> Iterator[list[ListRow]]:
        """Lists to ask for, without prompts yet, until those written before hold enough that are not alike."""
        most = PATIENCE * math.ceil(self.count / self.each)
        unlike = self._unlike(seeds)
        found = 0
        for part, numbers in enumerate(chunks(range(most), self.shard)):
            yield [self._order(number, work.seed) for number in numbers]
            for row in read_shard(shard_path(work.folder / "lists", part), ListRow):
                found += sum(unlike.add(prompt) for prompt in row.prompts)
            if found >= self.count:
                return

    def _order(self, number: int, seed: int) -> ListRow:
        rng = random.Random(f"{seed} list {number}")
        return ListRow(number, number % self.rounds, rng.choice(self.categories), rng.randint(*self.words))

    def _write(self, seeds: Sequence[str], seed: int, _: int, orders: Sequence[ListRow]) -> Shard:
        chats = []
        for order in orders:
            start = order.round * self.shown
            shown = [seeds[i % len(seeds)] for i in range(start, start + min(self.shown, len(seeds)))]
            random.Random(f"{seed} shown {order.number}").shuffle(shown)
            chats.append(prompts_chat(shown, order.category, self.each, order.words, order.number + 1))
        rows: list[ListRow] = []
        skipped: list[Skipped] = []
        for order, found in zip(orders, ask(self.writer, chats, read_prompts, self.attempts), strict=True):
            if isinstance(found, Unread):
                skipped.append(Skipped(f"list {order.number}", self.title(), str(found)))
            else:
                fields: dict[str, Any] = vars(order)
                rows.append(ListRow(**{**fields, "prompts": found[: self.each]}))
        return rows, skipped

    def _prompts(self, lists: Path, seeds: Sequence[str]) -> Iterator[PromptRow]:
        """All prompts of the lists that are like none before, in order."""
        unlike = self._unlike(seeds)
        number = 0
        for row in read(lists, ListRow):
            for prompt in row.prompts:
                if unlike.add(prompt):
                    yield PromptRow(f"{number:06d}", prompt, "", {"category": row.category, "round": row.round})
                    number += 1

    def _unlike(self, seeds: Sequence[str]) -> Unlike:
        unlike = Unlike(self.alike)
        for text in seeds:
            unlike.add(text)
        return unlike
