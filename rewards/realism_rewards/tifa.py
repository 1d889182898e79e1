"""The score of TIFA: the share of questions about a text that its picture answers rightly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import NamedTuple

from realism.base.errors import RealismError


class TifaScore(NamedTuple):
    """The figures of TIFA for a set of pictures, all in [0, 1].

    average is the mean over captions of the share of right answers, stdev the sample standard deviation of these shares
    (NaN for one caption), by_type the share of right answers to the questions of each type, over all captions.
    """

    average: float
    stdev: float
    by_type: dict[str, float]


def tifa_score(answers: Mapping[str, Sequence[tuple[str, bool]]]) -> TifaScore:
    """The score of pictures, one a caption. answers holds by caption the type of each question, and whether it was
    answered rightly.

    Raises RealismError if there is nothing to average. Source: Hu et al. 2023, "TIFA", as its authors compute it.
    """
    if not answers:
        raise RealismError("a TIFA score needs captions, but there is none; give the answers of at least one")
    if empty := next((caption for caption, those in answers.items() if not those), None):
        raise RealismError(f"caption '{empty}' has no answer; leave it out, or give an answer to each of its questions")
    shares = [fmean(right for _, right in those) for those in answers.values()]
    types: dict[str, list[bool]] = defaultdict(list)
    for kind, right in (answer for those in answers.values() for answer in those):
        types[kind].append(right)
    spread = stdev(shares) if len(shares) > 1 else float("nan")
    return TifaScore(fmean(shares), spread, {kind: fmean(those) for kind, those in types.items()})
