"""What a set of prompts and questions holds. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from realism_dreamsync.formats import Question


@dataclass(frozen=True)
class Statistics:
    """Numbers of prompts and questions, their means over prompts (NaN where there is none), and sources by type.

    Elements are the different answer sources of a prompt's questions; sources counts the different ones of each type
    over all prompts, in any case. Source: DreamSync, table 5 and appendix A.2. (The paper's counts by type add up to
    its number of prompts, 28,250, so they may be counts of something else.)
    """

    prompts: int
    questions: int
    binary: int
    multiple_choice: int
    questions_per_prompt: float
    words_per_prompt: float
    elements_per_prompt: float
    sources: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """The numbers by name, means rounded to three digits."""
        return {k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(self).items()}

    def __str__(self) -> str:
        """In two sentences."""
        sources = ", ".join(f"{kind} {n:,}" for kind, n in self.sources.items())
        return (
            f"{self.prompts:,} prompts and {self.questions:,} questions: {self.binary:,} binary, "
            f"{self.multiple_choice:,} multiple choice; {self.questions_per_prompt:.1f} questions, "
            f"{self.words_per_prompt:.1f} words and {self.elements_per_prompt:.1f} elements a prompt. "
            f"Answer sources by type: {sources or 'none'}."
        )


def statistics(prompts: Iterable[tuple[str, Sequence[Question]]]) -> Statistics:
    """Count over texts and their questions. A question with the choices yes and no is binary."""
    count = asked = binary = words = elements = 0
    sources: dict[str, set[str]] = {}
    for text, questions in prompts:
        count += 1
        asked += len(questions)
        words += len(text.split())
        binary += sum({c.lower() for c in q["choices"]} == {"yes", "no"} for q in questions)
        named = [(q.get("element_type") or "other", str(q.get("element") or "").lower()) for q in questions]
        elements += len({element for _, element in named})
        for kind, element in named:
            sources.setdefault(kind, set()).add(element)
    sizes = {kind: len(found) for kind, found in sources.items()}
    mean = [n / count if count else float("nan") for n in (asked, words, elements)]
    largest_first = dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0])))
    return Statistics(count, asked, binary, asked - binary, mean[0], mean[1], mean[2], largest_first)
