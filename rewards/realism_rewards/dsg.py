"""The score of Davidsonian Scene Graphs: questions, some of which mean nothing unless others are answered yes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from realism.base.errors import RealismError

ROOT = 0
"""The parent of a question that hangs on no other."""


def dsg_score(answers: Mapping[int, str], dependencies: Mapping[int, Sequence[int]]) -> float:
    """The share of questions that count as right, in [0, 1].

    answers are by question id, from 1; "yes" is right (in any case, spaces around it are passed over), all else is
    wrong. dependencies names the parents of questions: parent 0, no parent, or no entry make a root. A question counts
    as wrong if the answer to one of its parents is. A parent that is only counted as wrong, because of its own parents,
    does not matter. All questions are in the denominator.

    Raises RealismError if there is no answer, or an id has none. Source: Cho et al. 2024, "Davidsonian Scene Graph",
    as its authors compute it.
    """
    if not answers:
        raise RealismError("a DSG score needs answers, but there is none; give an answer to each question, by its id")
    if ROOT in answers:
        raise RealismError(f"question id {ROOT} stands for the root of a DSG; give questions ids from 1")
    for child, parents in dependencies.items():
        unknown = next((i for i in (child, *parents) if i not in answers and i != ROOT), None)
        if unknown is not None:
            known = ", ".join(map(str, answers))
            raise RealismError(
                f"question {unknown}, named in the dependencies of question {child}, has no answer; there are answers "
                f"of {known}"
            )
    right = {i: answer.strip().lower() == "yes" for i, answer in answers.items()}
    counted = [right[i] and all(right[p] for p in dependencies.get(i, ()) if p != ROOT) for i in answers]
    return sum(counted) / len(counted)
