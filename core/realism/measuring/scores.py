"""Samples with their scores, shard by shard."""

from __future__ import annotations

from collections.abc import Iterator

from realism.base.errors import RealismError
from realism.base.tables import read_shard, shard_path, shard_paths
from realism.data.artifacts import Samples, ScoreTable
from realism.data.rows import Sample, Score
from realism.data.state import State
from realism.parts.step import Artifacts

Scored = tuple[Sample, dict[str, Score]]
"""A sample, and its score by each reward that has given it one."""


def rewards_of(available: Artifacts, *arms: str) -> list[str]:
    """The names of the values that any of these arms has scores of, in the order they were given."""
    of_arms = ScoreTable.among(available, *arms) if len(arms) == 1 else ScoreTable.among(available)
    wanted = set(arms)
    return list(dict.fromkeys(scores.reward for scores in of_arms if scores.arm in wanted))


def scored(state: State, arm: str) -> Iterator[Scored]:
    """The samples of an arm with their scores, one shard in memory at a time; each table is read once."""
    tables = {scores: state.path(scores) for scores in ScoreTable.among(state, arm)}
    pieces = shard_paths(state.path(Samples(arm)))
    for scores, table in tables.items():
        if len(shard_paths(table)) != len(pieces):
            raise RealismError(
                f"{scores} has {len(shard_paths(table))} shards and its samples {len(pieces)}; a step that writes "
                "scores writes one shard for each shard of the samples, see `realism.artifacts.ScoreTable`"
            )
    for number, path in enumerate(pieces):
        given: dict[str, dict[str, Score]] = {}
        for scores, table in tables.items():
            for row in read_shard(shard_path(table, number), Score):
                given.setdefault(row.id, {})[scores.reward] = row
        for sample in read_shard(path, Sample):
            yield sample, given.get(sample.id, {})
