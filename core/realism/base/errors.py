"""What a user got wrong, said in one sentence."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HINT_WIDTH = 100


class RealismError(Exception):
    """Something the user can mend. The message is one sentence: the bad value, what is allowed, what to do."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a recipe: where (file and line, or "command line"), the full key, and why."""

    where: str
    key: str
    message: str
    hint: str = ""


def damaged(path: Path) -> RealismError:
    """What to say of a file of a run that cannot be read: to remove the folder of the step that wrote it."""
    otherwise = f"remove the folder '{path.parent}' and run again"
    return RealismError(f"'{path}' is damaged; {remedy(path, otherwise)}")


def remedy(path: Path, otherwise: str) -> str:
    """What to do about a file of a run that is spoilt: have the step that wrote it done anew. otherwise: what to do if
    no step wrote it."""
    return f"remove the folder '{step}' and run again" if (step := step_of(path)) else otherwise


def step_of(path: Path) -> Path | None:
    """The folder of the step that wrote a file of a run; None if no step did."""
    return next((folder for folder in path.parents if folder.parent.name == "steps"), None)


class RecipeError(RealismError):
    """Everything wrong with one recipe, found before anything ran."""

    def __init__(self, source: str, problems: list[Problem]):
        self.source, self.problems = source, problems
        count = f"{len(problems)} problem" + "s" * (len(problems) != 1)
        places = _aligned([p.where for p in problems])
        key = max(len(p.key) for p in problems)
        lines = [f"{source}: {count}"]
        for p, place in zip(problems, places, strict=True):
            lines.append(f"  {place}  {p.key:<{key}}  {p.message}".rstrip())
            indent = " " * (len(place) + key + 6)
            lines.extend(indent + line for line in textwrap.wrap(p.hint, HINT_WIDTH, break_long_words=False))
        super().__init__("\n".join([*lines, "Nothing was run."]))


def _aligned(places: list[str]) -> list[str]:
    """Places of one width, with the numbers of lines below one another."""
    digits = max((len(p.split()[1]) for p in places if p.startswith("line ")), default=0)
    places = [f"line {p.split()[1]:>{digits}}" if p.startswith("line ") else p for p in places]
    width = max(len(p) for p in places)
    return [f"{p:<{width}}" for p in places]


def nearest(name: str, names: Iterable[str]) -> str:
    """ "; did you mean 'x'?" for the closest of `names`, or nothing when none is close."""
    close = difflib.get_close_matches(str(name), [str(n) for n in names], n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def listed(names: Iterable[str]) -> str:
    """Names in alphabetical order, with commas; "none" when there are none."""
    return ", ".join(sorted(str(n) for n in names)) or "none"


def shown(value: Any) -> str:
    """A value as a message shows it: in the words of YAML, and no longer than is needed to find it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 70 else f"{text[:50]} ... {text[-15:]}"
