"""What a user got wrong, said in one sentence."""

from __future__ import annotations

import difflib
import itertools
import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
"""Characters that steer a terminal or that no file can hold."""
HINT_WIDTH = 100
MOST_TOLD = 50
"""Problems of a recipe that are told one by one."""
LONGEST_KEY = 200
LONGEST = 2000
"""Characters of a sentence."""
MOST_NAMES = 100
"""Names that a sentence lists."""
MOST_COMPARED = 200
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

    def __init__(self, source: str, problems: list[Problem], more: bool = False):
        """more: whether there are others, which were not looked for."""
        self.source, self.problems = source, problems
        count = f"{len(problems)} problem" + "s" * (len(problems) != 1)
        told = problems[:MOST_TOLD]
        places = _aligned([_cut(p.where, LONGEST_KEY) for p in told])
        keys = [_cut(p.key, LONGEST_KEY) for p in told]
        width = max(map(len, keys))
        lines = [f"{source}: " + (f"more than {count}" if more else count)]
        for p, key, place in zip(told, keys, places, strict=True):
            lines.append(f"  {place}  {key:<{width}}  {_cut(p.message, LONGEST)}".rstrip())
            indent = " " * (len(place) + width + 6)
            hint = textwrap.wrap(_cut(p.hint, LONGEST), HINT_WIDTH, break_long_words=False)
            lines.extend(indent + line for line in hint)
        if len(problems) > MOST_TOLD:
            others = "; others were not looked for" if more else ""
            lines.append(f"... and {len(problems) - MOST_TOLD} more{others}")
        super().__init__("\n".join([*lines, "Nothing was run."]))


def sentence(error: BaseException) -> str:
    """What is told of an error: of one that nobody expected its class, and where it was raised, as well."""
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
    compared = [text for n in itertools.islice(names, MOST_COMPARED) if len(text := str(n)) <= LONGEST_KEY]
    close = difflib.get_close_matches(str(name), compared, n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def listed(names: Iterable[str]) -> str:
    """Names in alphabetical order, with commas; "none" when there are none."""
    every = sorted(str(n) for n in names)
    more = f" and {len(every) - MOST_NAMES:,} more" if len(every) > MOST_NAMES else ""
    return ", ".join(every[:MOST_NAMES]) + more or "none"


def printable(text: str) -> str:
    """A text as it may be printed: what would steer a terminal is written as in Python, `\\x1b`."""
    return CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def shown(value: Any) -> str:
    """A value as a message shows it: in the words of YAML, and no longer than is needed to find it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value[:LONGEST] if isinstance(value, str) else value)
    return text if len(text) <= 70 else f"{text[:50]} ... {text[-15:]}"
