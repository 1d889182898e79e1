"""What a user got wrong, said in one sentence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class RealismError(Exception):
    """Something the user can mend. The message is one sentence: the bad value, what is allowed, what to do."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a recipe: where (file and line, or "command line"), the full key, and why."""

    where: str
    key: str
    message: str
    hint: str = ""


class RecipeError(RealismError):
    """Everything wrong with one recipe, found before anything ran."""

    def __init__(self, source: str, problems: list[Problem]):
        self.source, self.problems = source, problems
        count = f"{len(problems)} problem" + "s" * (len(problems) != 1)
        place = max(len(p.where) for p in problems)
        key = max(len(p.key) for p in problems)
        lines = [f"{source}: {count}"]
        for p in problems:
            lines.append(f"  {p.where:<{place}}  {p.key:<{key}}  {p.message}".rstrip())
            if p.hint:
                lines.append(" " * (place + key + 6) + p.hint)
        super().__init__("\n".join([*lines, "Nothing was run."]))


def nearest(name: str, names: Iterable[str]) -> str:
    """ "; did you mean 'x'?" for the closest of `names`, or nothing when none is close."""
    close = difflib.get_close_matches(str(name), [str(n) for n in names], n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def listed(names: Iterable[str]) -> str:
    """Names in alphabetical order, with commas; "none" when there are none."""
    return ", ".join(sorted(str(n) for n in names)) or "none"
