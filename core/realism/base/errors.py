"""Mistakes of a user, each explained in one sentence."""

from __future__ import annotations

import difflib
import itertools
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from realism.base.texts import printable

HINT_WIDTH = 100
MAX_PROBLEMS_SHOWN = 50
"""Problems of a recipe that are listed one by one."""
LONGEST_KEY = 200
LONGEST = 2000
"""Characters of a sentence."""
MAX_NAMES = 100
"""Names that a sentence lists."""
MAX_COMPARED = 200
"""Names among which the nearest is looked for, as it takes time."""


class RealismError(Exception):
    """Something the user can mend. The message is one sentence: the bad value, what is allowed, what to do."""

    exit_code = 2

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows of it: the sentence alone."""
        return [printable(str(self))]


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a recipe: where (file and line, or "command line"), the full key, and why."""

    where: str
    key: str
    message: str
    hint: str = ""


def damaged(path: Path) -> RealismError:
    """The error for a file of a run that cannot be read: remove the folder of the step that wrote it."""
    otherwise = f"remove the folder '{path.parent}' and run again"
    return RealismError(f"'{path}' is damaged; {remedy(path, otherwise)}")


def remedy(path: Path, otherwise: str) -> str:
    """What to do about a damaged file of a run: do the step that wrote it again. otherwise: what to do if no step wrote
    it."""
    return f"remove the folder '{step}' and run again" if (step := step_of(path)) else otherwise


def step_of(path: Path) -> Path | None:
    """The folder of the step that wrote a file of a run; None if no step did."""
    return next((folder for folder in path.parents if folder.parent.name == "steps"), None)


class RecipeError(RealismError):
    """Everything wrong with one recipe, found before anything ran."""

    def __init__(self, source: str, problems: list[Problem], more: bool = False):
        """more: whether there are others, which were not looked for."""
        self.source, self.problems = source, problems
        count = f"{len(problems)} problem" + "s" * (len(problems) != 1)
        shown_problems = problems[:MAX_PROBLEMS_SHOWN]
        places = _aligned([_cut(p.where, LONGEST_KEY) for p in shown_problems])
        keys = [_cut(p.key, LONGEST_KEY) for p in shown_problems]
        width = max(map(len, keys))
        lines = [f"{source}: " + (f"more than {count}" if more else count)]
        for p, key, place in zip(shown_problems, keys, places, strict=True):
            lines.append(f"  {place}  {key:<{width}}  {_cut(p.message, LONGEST)}".rstrip())
            indent = " " * (len(place) + width + 6)
            hint = textwrap.wrap(_cut(p.hint, LONGEST), HINT_WIDTH, break_long_words=False)
            lines.extend(indent + line for line in hint)
        if len(problems) > MAX_PROBLEMS_SHOWN:
            others = "; others were not looked for" if more else ""
            lines.append(f"... and {len(problems) - MAX_PROBLEMS_SHOWN} more{others}")
        super().__init__("\n".join([*lines, "Nothing was run."]))


def sentence(error: BaseException) -> str:
    """The sentence for an error: for one that nobody expected with its class, and where it was raised."""
    if isinstance(error, RealismError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror or error}" if error.filename else error.strerror or str(error)
    where = "".join(f" in {note}" for note in getattr(error, "__notes__", [])[:1])
    return f"unexpected {type(error).__name__}: {error}{where}"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest // 2]} ... {text[-longest // 4 :]}"


def _aligned(places: list[str]) -> list[str]:
    """Places of one width, with the numbers of lines below one another."""
    digits = max((len(p.split()[1]) for p in places if p.startswith("line ")), default=0)
    places = [f"line {p.split()[1]:>{digits}}" if p.startswith("line ") else p for p in places]
    width = max(len(p) for p in places)
    return [f"{p:<{width}}" for p in places]


def nearest(name: str, names: Iterable[str]) -> str:
    """ "; did you mean 'x'?" for the closest of `names`, or nothing when none is close."""
    if len(str(name)) > LONGEST_KEY:
        return ""
    compared = [text for n in itertools.islice(names, MAX_COMPARED) if len(text := str(n)) <= LONGEST_KEY]
    close = difflib.get_close_matches(str(name), compared, n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def listed(names: Iterable[str]) -> str:
    """Names in alphabetical order, with commas; "none" when there are none."""
    every = sorted(str(n) for n in names)
    more = f" and {len(every) - MAX_NAMES:,} more" if len(every) > MAX_NAMES else ""
    return ", ".join(every[:MAX_NAMES]) + more or "none"


def shown(value: Any) -> str:
    """A value as a message shows it: in the words of YAML, and no longer than is needed to find it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value[:LONGEST] if isinstance(value, str) else value)
    return text if len(text) <= 70 else f"{text[:50]} ... {text[-15:]}"
