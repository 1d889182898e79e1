"""Texts that say nearly the same, found without comparing all with all."""

from __future__ import annotations

import math
import re
from itertools import pairwise


class Unlike:
    """A growing set of texts of which no two are alike.

    Two texts are alike when the share of their pairs of neighbouring words that they have in common (Jaccard) is
    `least` or more; case and punctuation do not count. Found exactly by prefix filtering: two such sets have a member
    in common among the first n - ceil(least * n) + 1 of each, in any fixed order. Long pairs come first: they are the
    rare ones, so that few texts are compared. Source: Bayardo, Ma and Srikant 2007, "Scaling Up All Pairs Similarity
    Search".
    """

    def __init__(self, least: float):
        self.least = least
        self._sets: list[frozenset[str]] = []
        self._with: dict[str, list[int]] = {}

    def add(self, text: str) -> bool:
        """Take a text in if it is like none before; whether it was taken."""
        pairs = word_pairs(text)
        least_shared = math.ceil(self.least * len(pairs) - 1e-9)
        first = sorted(pairs, key=lambda pair: (-len(pair), pair))[: len(pairs) - least_shared + 1]
        near = {i for pair in first for i in self._with.get(pair, ())}
        if any(overlap(pairs, self._sets[i]) >= self.least for i in near):
            return False
        for pair in first:
            self._with.setdefault(pair, []).append(len(self._sets))
        self._sets.append(pairs)
        return True


def word_pairs(text: str) -> frozenset[str]:
    """The pairs of neighbouring words of a text, in lower case; of a text of one word, that word."""
    words = re.findall(r"\w+", text.lower())
    return frozenset(map(" ".join, pairwise(words))) or frozenset(words or [text])


def overlap(ours: frozenset[str], others: frozenset[str]) -> float:
    """Members of both by members of either, in [0, 1]. Source: Jaccard 1912."""
    return len(ours & others) / len(ours | others)
