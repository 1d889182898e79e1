"""Options of a part: what its dataclass declares, held against what the recipe gives."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, get_args, get_origin, get_type_hints

from realism.errors import listed, nearest
from realism.parts.base import Part

Resolve = Callable[[Any, type[Part]], Part]
RESERVED = ("use", "part_name")


class Broken(ValueError):
    """A part that is named but is itself wrong, which is reported where it stands and nowhere else."""


@dataclass(frozen=True)
class Option:
    """One option: its type, its default (MISSING if it must be given) and what it says of itself."""

    name: str
    hint: Any
    default: Any
    doc: str

    @property
    def part_class(self) -> type[Part] | None:
        """The family an option takes, when it takes one part."""
        inner = [a for a in (get_args(self.hint) or (self.hint,)) if a is not type(None)]
        plain = get_origin(self.hint) not in (list, tuple, dict)
        return inner[0] if plain and len(inner) == 1 and _is_part(inner[0]) else None


def _is_part(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Part)


@functools.cache
def options_of(cls: type[Part]) -> tuple[Option, ...]:
    """The options of a part's class, in order."""
    hints = get_type_hints(cls, include_extras=True)
    docs = _field_docs(cls)
    found = []
    for f in fields(cls):  # type: ignore[arg-type]
        if f.init and f.name not in RESERVED:
            default = f.default if f.default_factory is MISSING else f.default_factory()
            found.append(Option(f.name, hints[f.name], default, docs.get(f.name, "")))
    return tuple(found)


def _field_docs(cls: type) -> dict[str, str]:
    """The string below each field, or the comment behind it, in the class and what it inherits from."""
    import ast
    import inspect
    import textwrap

    docs: dict[str, str] = {}
    for owner in reversed(cls.__mro__):
        try:
            source = textwrap.dedent(inspect.getsource(owner))
        except (OSError, TypeError):
            continue
        lines = source.splitlines()
        body = ast.parse(source).body[0].body  # type: ignore[attr-defined]
        for node, after in zip(body, [*body[1:], None], strict=True):
            if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
                continue
            comment = lines[(node.end_lineno or 1) - 1].partition("  # ")[2]
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and type(after.value.value) is str:
                comment = inspect.cleandoc(after.value.value)
            if comment:
                docs[node.target.id] = " ".join(comment.split())
    return docs


def read_options(
    cls: type[Part], name: str, given: Mapping[str, Any], resolve: Resolve, only: Callable[[type[Part]], Part | None]
) -> tuple[Part | None, list[tuple[tuple[str | int, ...], str, str]]]:
    """Make a part from given options: the part, or None with everything wrong as (key, message, hint).

    resolve turns the name of a part into the part; only gives the recipe's one part of a family, for an option that is
    left out (or raises ValueError if there are several).
    """
    wrong: list[tuple[tuple[str | int, ...], str, str]] = []
    options = {o.name: o for o in options_of(cls)}
    for key in given:
        if key not in options:
            hint = f"options: {listed(options)}"
            wrong.append(((str(key),), f"{name} has no option '{key}'{nearest(str(key), options)}", hint))
    values: dict[str, Any] = {}
    broken = False
    for option in options.values():
        try:
            present, value = _value(option, given, resolve, only)
        except Broken:
            broken = True
            continue
        except ValueError as error:
            wrong.extend(((option.name, *key), message, "") for key, message in _messages(error))
            broken = broken or not _messages(error)
            continue
        if present:
            values[option.name] = value
    if wrong or broken:
        return None, wrong
    part = cls(**values)
    sentence = part.options_error()
    return (None, [((), sentence, "")]) if sentence else (part, [])


def _value(option: Option, given: Mapping[str, Any], resolve: Resolve, only: Any) -> tuple[bool, Any]:
    from pydantic import TypeAdapter

    if option.name in given:
        return True, TypeAdapter(option.hint).validate_python(given[option.name], context=resolve)
    if option.default is MISSING:
        if option.part_class is not None and (part := only(option.part_class)) is not None:
            return True, part
        raise ValueError(f"'{option.name}' must be given" + (f": {option.doc}" if option.doc else ""))
    if option.part_class is not None and isinstance(option.default, str):
        return True, resolve(option.default, option.part_class)
    return False, None


def _messages(error: ValueError) -> Iterator[tuple[tuple[str | int, ...], str]] | list[Any]:
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return [((), str(error))]
    found = []
    for e in error.errors(include_url=False):
        cause = e.get("ctx", {}).get("error")
        if isinstance(cause, Broken):
            continue
        if isinstance(cause, ValueError):
            message = str(cause)
        else:
            said = e["msg"].replace("Input should be", "expected").replace("Input should", "it should")
            message = f"{e['input']!r} is not allowed: {said[:1].lower()}{said[1:]}"
        key = tuple(k for k in e["loc"] if isinstance(k, int) or k.isidentifier())
        found.append((key, message))
    return found
