"""What of a source's prompts and records can be written down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from realism.base.errors import shown
from realism.base.texts import is_unicode, readable
from realism.data.types import Prompt, Record


def prompt_problem(prompt: Any) -> str | None:
    """One sentence if a source's prompt is none that can be written down, else None."""
    if not isinstance(prompt, Prompt):
        return f"the source gives a {type(prompt).__name__}, not a Prompt"
    texts = {name: getattr(prompt, name) for name in ("id", "text", "subject", "rewritten")}
    for name, value in texts.items():
        if not isinstance(value, str):
            return f"the {name} of prompt {shown(prompt.id)} is {shown(value)}, not a text"
        if not is_unicode(value):
            return f"prompt '{readable(prompt.id)}' cannot be written down: its {name} is no Unicode text"
    if reason := _no_json(prompt.metadata):
        return f"prompt {shown(prompt.id)} cannot be written down: {reason}"
    return None


def record_problem(record: Any) -> str | None:
    """One sentence if what a source gives is no record as it should be, else None. Names of files that are no Unicode
    are not meant: see `name_problem`."""
    if not isinstance(record, Record):
        return f"the source gives a {type(record).__name__}, not a Record"
    for name, value, kind in (("id", record.id, str), ("subject", record.subject, str), ("path", record.path, Path)):
        if not isinstance(value, kind):
            return f"the {name} of record {shown(record.id)} is {shown(value)}, not a {_word(kind)}"
    if reason := _no_json(record.metadata):
        return f"record '{readable(record.id)}' cannot be written down: {reason}"
    return None


def name_problem(*names: str) -> str | None:
    """Why the names of an image (its id, path, subject) cannot be written down, in a few words, else None."""
    if not all(map(is_unicode, names)):
        return "its name, or that of a folder it lies in, is not UTF-8; rename it"
    return "its name has a zero byte in it; rename it" if any("\0" in name for name in names) else None


def _word(kind: type) -> str:
    return "text" if kind is str else kind.__name__


def _no_json(metadata: Mapping[str, Any]) -> str | None:
    try:
        json.dumps(dict(metadata), sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:  # ValueError: an endless mapping
        return str(error)
    return None
