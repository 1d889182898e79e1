"""What is measured of arms, gathered in one reading: numbers in arrays, so that memory hardly grows with samples."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from realism.base.errors import RealismError, listed, nearest
from realism.data.state import State
from realism.measuring.groups import ALL, group_of, keys_of
from realism.measuring.relevance import relevance
from realism.measuring.scores import scored


class Group(NamedTuple):
    """Prompts that are measured together: the key they are grouped by ("" for all), their name and their numbers."""

    by: str
    name: str
    prompts: set[int]


@dataclass
class Arm:
    """The samples of one arm: the number of each one's prompt and of its text, and its scores."""

    prompts: array[int] = field(default_factory=lambda: array("i"))
    texts: array[int] = field(default_factory=lambda: array("i"))
    scores: dict[str, array[float]] = field(default_factory=dict)
    """By reward, and by what `relevance` says of the references; NaN where a sample has none."""

    def add(self, prompt: int, text: int, scores: dict[str, float]) -> None:
        """One sample more."""
        for reward in scores:
            if reward not in self.scores:
                self.scores[reward] = array("d", [np.nan] * len(self.prompts))
        for reward, values in self.scores.items():
            values.append(scores.get(reward, np.nan))
        self.prompts.append(prompt)
        self.texts.append(text)

    def of(self, group: Group) -> np.ndarray:
        """The places of the samples in a group."""
        prompts = np.asarray(self.prompts)
        return np.flatnonzero(np.isin(prompts, list(group.prompts)))


@dataclass
class Gathered:
    """All arms that are measured, and the groups of their prompts."""

    arms: dict[str, Arm]
    groups: list[Group]
    prompts: list[str]
    """The ids of the prompts, by their numbers."""
    subjects: list[str]
    """Of the prompts, by their numbers."""
    texts: list[str]
    lower_is_better: set[str]
    _several: dict[tuple[str, str], bool] = field(default_factory=dict)

    def clusters(self, arm: Arm, at: np.ndarray, group: Group) -> list[str]:
        """What is resampled together: the pictures of one text, which share what was retrieved for it; in a group where
        all arms have but one text, those of one prompt."""
        if self._several_texts(group):
            return [self.texts[i] for i in np.asarray(arm.texts)[at].tolist()]
        return [self.prompts[i] for i in np.asarray(arm.prompts)[at].tolist()]

    def _several_texts(self, group: Group) -> bool:
        if (key := (group.by, group.name)) not in self._several:
            texts = [np.unique(np.asarray(arm.texts)[arm.of(group)]) for arm in self.arms.values()]
            self._several[key] = len(np.unique(np.concatenate(texts))) > 1
        return self._several[key]


def gather(state: State, names: Sequence[str], by: Sequence[str]) -> Gathered:
    """Read the arms. by: keys of the prompts' metadata, or `subject`; besides all prompts, each value of each key is a
    group, and a name that an earlier key has too gets its key in front. Raises RealismError for an unknown key."""
    prompts: dict[str, int] = {}
    texts: dict[str, int] = {}
    subjects: list[str] = []
    known: set[str] = set()
    of_key: dict[str, dict[str, set[int]]] = {key: {} for key in by}
    lower: set[str] = set()
    arms = {name: Arm() for name in names}
    for name, arm in arms.items():
        for sample, scores in scored(state, name):
            number = prompts.setdefault(sample.prompt_id, len(prompts))
            if number == len(subjects):
                subjects.append(sample.subject)
            known |= keys_of([sample])
            for key, found in of_key.items():
                if group := group_of(sample, key):
                    found.setdefault(group, set()).add(number)
            lower |= {reward for reward, score in scores.items() if not score.higher_is_better}
            values = {reward: score.value for reward, score in scores.items()} | relevance(sample)
            arm.add(number, texts.setdefault(sample.text, len(texts)), values)
    for key in by:
        if key not in known:
            available = f"{nearest(key, known)}; available: {listed(known)}"
            raise RealismError(f"evaluate: no prompt has '{key}' in its metadata{available}")
    return Gathered(arms, list(_groups(of_key, len(prompts))), list(prompts), subjects, list(texts), lower)


def _groups(of_key: dict[str, dict[str, set[int]]], count: int) -> Iterator[Group]:
    yield Group("", ALL, set(range(count)))
    taken = {ALL}
    for key, groups in of_key.items():
        for name, prompts in groups.items():
            yield Group(key, f"{key} {name}" if name in taken else name, prompts)
        taken |= set(groups)
