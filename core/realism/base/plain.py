"""Values as JSON has them, so that they can be written down and read again."""

from __future__ import annotations

import datetime
import json
import math
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from realism.base.errors import RealismError
from realism.base.texts import is_unicode, readable

LONGEST_NUMBER = 1000
"""Digits of a whole number."""
MAX_DEPTH = 50
"""Lists and mappings in one another; Python and readers of JSON give up at some hundreds."""


class Plain:
    """Makes values plain, and remembers what it had to leave out.

    Dates and times become ISO texts, durations seconds, decimals numbers, NaN and what no text says (bytes) nothing.
    Raises ValueError, with a reason in a few words, for what is nested too deep, and for texts that are no Unicode
    unless `mend`, which puts U+FFFD in the place of what is wrong.
    """

    def __init__(self, mend: bool = False):
        self.mend = mend
        self.left_out: list[str] = []

    def __call__(self, value: Any, deep: int = 0) -> Any:
        """The value as None, bool, int, float, str, list or dict."""
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, float):
            return None if math.isnan(value) else value
        if deep > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
        if isinstance(value, Mapping):
            return {self._text(str(k)): self(v, deep + 1) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self(v, deep + 1) for v in value]
        return self._other(value)

    def _text(self, text: str) -> str:
        if text.isascii() or is_unicode(text):
            return text
        if not self.mend:
            raise ValueError(f"'{readable(text)}' is no Unicode text")
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _other(self, value: Any) -> Any:
        if isinstance(value, datetime.date | datetime.time):  # a datetime is a date
            return value.isoformat()
        if isinstance(value, datetime.timedelta):
            return value.total_seconds()
        if isinstance(value, Decimal):
            if not value.is_finite():
                return None
            return int(value) if value == value.to_integral_value() else float(value)
        if isinstance(value, uuid.UUID):
            return str(value)
        self.left_out.append(type(value).__name__)
        return None


def parse_json(text: str | bytes, place: str, mend: bool = False) -> Any:
    """The value that a JSON text says, plain. Raises RealismError, naming the place."""
    try:
        return Plain(mend)(json.loads(text, object_pairs_hook=_once, parse_int=_whole))
    except UnicodeDecodeError:
        raise RealismError(f"{place}: not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise RealismError(f"{place}: not JSON: {error}") from None
    except RecursionError:
        raise RealismError(f"{place}: it is nested more than {MAX_DEPTH} deep") from None
    except ValueError as error:
        raise RealismError(f"{place}: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, each of whose keys stands once. Raises ValueError for another."""
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if key in [other for other, _ in pairs[:i]])
        raise ValueError(f"the key '{readable(twice)}' stands twice in one object")
    return made


def _whole(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(digits):,} digits; put it in quotes, as a text")
    return int(digits)
