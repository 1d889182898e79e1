"""Options of a part: what its dataclass declares, checked against what the recipe gives."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from realism.base.errors import listed, nearest, shown
from realism.parts.base import Part, one_of
from realism.plugins.registry import describe_error

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

Resolve = Callable[[Any, type[Part]], Part]
Only = Callable[[type[Part]], Part | None]
Mistake = tuple[tuple[str | int, ...], str, str]
"""What is wrong: the key within the part, a sentence and a hint."""
RESERVED = ("use", "part_name")

EXPECTED = {
    "int": "expected a whole number",
    "float": "expected a number",
    "bool": "expected true or false",
    "string_type": "expected a text",
    "list": "expected a list, such as [a, b]",
    "dataclass": "expected keys with values, such as {{a: 1}}",
    "dict": "expected keys with values, such as {{a: 1}}",
    "greater_than_equal": "expected {ge} or more",
    "greater_than": "expected more than {gt}",
    "less_than_equal": "expected {le} or less",
    "less_than": "expected less than {lt}",
    "literal": "expected {expected}",
    "too_short": "expected {min_length} or more of them",
}
"""What an option of the kind wants, by the beginning of the name of pydantic's error."""


class Wrong(ValueError):
    """A value that cannot be used, with a hint for a line of its own."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.hint = hint


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

    @functools.cached_property
    def validator(self) -> SchemaValidator:
        """Reads its value."""
        from pydantic import TypeAdapter
        from pydantic_core import SchemaValidator

        return SchemaValidator(_strict(TypeAdapter(self.hint).core_schema))

    @property
    def group(self) -> type | None:
        """The dataclass that holds further options, when it is one and no part."""
        grouped = isinstance(self.hint, type) and is_dataclass(self.hint) and not _is_part(self.hint)
        return self.hint if grouped else None


def _strict(schema: Any) -> Any:
    """The schema of an option, in which neither `true` is a number nor "5", nor 1 `true`; and none is infinite."""
    from pydantic_core import core_schema

    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {k: v if k == "keys_schema" else _strict(v) for k, v in schema.items()}  # keys are always texts
    match schema.get("type"):
        case "int":
            return core_schema.no_info_before_validator_function(whole, schema | {"strict": True})  # type: ignore[arg-type]
        case "bool":
            return schema | {"strict": True}
        case "float":
            return schema | {"strict": True, "allow_inf_nan": False}
    return schema


def whole(value: Any) -> Any:
    """1e3 as 1000."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_part(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Part)


def kind_of(cls: type[Part]) -> str:
    """A class of a family as a sentence names it: "a reward", "a source of prompts", "a generator of kind Tunable"."""
    return one_of(cls.family) + ("" if "family" in vars(cls) else f" of kind {cls.__name__}")


@functools.cache
def options_of(cls: type) -> tuple[Option, ...]:
    """The options of a part's class, in order; those of a group stand together as one."""
    hints = get_type_hints(cls, include_extras=True)
    docs = _field_docs(cls)
    found = []
    for f in sorted(fields(cls), key=lambda f: bool(f.kw_only)):  # type: ignore[arg-type]
        if f.init and f.name not in RESERVED:
            default = f.default if f.default_factory is MISSING else f.default_factory()
            found.append(Option(f.name, hints[f.name], default, docs.get(f.name, "")))
    return tuple(found)


def documented_options(cls: type) -> tuple[Option, ...]:
    """The options of a part's class as documented: those of a group one by one, as in `lora.rank`."""
    found: list[Option] = []
    for option in options_of(cls):
        inner = documented_options(option.group) if option.group else ()
        found.extend(replace(one, name=f"{option.name}.{one.name}") for one in inner)
        found.extend([] if inner else [option])
    return tuple(found)


def _field_docs(cls: type) -> dict[str, str]:
    """The string below each field, or the comment behind it, in the class and what it inherits from."""
    return {name: doc for owner in reversed(cls.__mro__) for name, doc in _own_field_docs(owner).items()}


@functools.cache  # as finding the source of a class parses its whole module
def _own_field_docs(owner: type) -> dict[str, str]:
    import ast
    import inspect
    import textwrap

    if not vars(owner).get("__annotations__"):
        return {}
    try:
        source = textwrap.dedent(inspect.getsource(owner))
    except (OSError, TypeError):
        return {}
    docs: dict[str, str] = {}
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
    cls: type[Part], name: str, given: Mapping[str, Any], resolve: Resolve, only: Only
) -> tuple[Part | None, list[Mistake]]:
    """Make a part from given options: the part, or None with everything wrong as (key, message, hint).

    resolve turns the name of a part into the part; only gives the recipe's one part of a family, for an option that is
    left out (or raises ValueError if there are several).
    """
    part, wrong = _made(cls, name, given, resolve, only)
    if part is None:
        return None, wrong
    try:
        sentence = part.options_error()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a stranger's code
        return None, [_unmade(name, error)]
    if not isinstance(sentence, str | None):
        sentence = f"options_error of {name} gave a {type(sentence).__name__}, neither a sentence nor None"
    return (None, [((), sentence, "")]) if sentence else (part, [])


def _made(cls: type, name: str, given: Mapping[str, Any], resolve: Resolve, only: Only) -> tuple[Any, list[Mistake]]:
    """A part, or a group of its options, from what is given: it, or None with everything wrong."""
    wrong: list[Mistake] = []
    options = {o.name: o for o in options_of(cls)}
    for key in given:
        if key not in options:
            hint = f"options: {listed(options)}"
            wrong.append(((str(key),), f"{name} has no option '{key}'{nearest(str(key), options)}", hint))
    values: dict[str, Any] = {}
    broken = False
    for option in options.values():
        inner = given.get(option.name)
        try:
            if option.group and isinstance(inner, Mapping):
                values[option.name], mistakes = _made(option.group, f"'{option.name}'", inner, resolve, only)
                wrong.extend(((option.name, *key), message, hint) for key, message, hint in mistakes)
                broken = broken or values[option.name] is None
                continue
            values |= _value(option, given, resolve, only)
        except Broken:
            broken = True
        except ValueError as error:
            wrong.extend(((option.name, *key), message, hint) for key, message, hint in _messages(error, option))
            broken = True
    if wrong or broken:
        return None, wrong
    try:
        return cls(**values), []
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a stranger's code
        return None, [_unmade(name, error)]


def _unmade(name: str, error: BaseException) -> Mistake:
    return (), f"{name} cannot be made: {describe_error(error)}", ""


def _value(option: Option, given: Mapping[str, Any], resolve: Resolve, only: Only) -> dict[str, Any]:
    """The value of an option by its name; empty where the default of the dataclass holds."""
    family = option.part_class
    if option.name in given:
        return {option.name: option.validator.validate_python(given[option.name], context=resolve)}
    if family is not None and isinstance(option.default, str):
        return {option.name: resolve(option.default, family)}
    if option.default is not MISSING:
        return {}
    if family is None:
        raise Wrong(f"'{option.name}' must be given", option.doc)
    if (part := only(family)) is None:
        kind = kind_of(family).partition(" ")[2]
        raise Wrong(f"'{option.name}' must be given: there is no {kind} among the parts", option.doc)
    return {option.name: part}


def _messages(error: ValueError, option: Option) -> list[Mistake]:
    """What is wrong with one option, as (key within it, message, hint)."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return [((), str(error), getattr(error, "hint", ""))]
    told = [e for e in error.errors(include_url=False) if isinstance(_cause(e), Broken)]
    if any(not any(isinstance(k, int) for k in e["loc"]) for e in told):
        return []  # the whole value is a part's name, so what other kinds of a union say of it is beside the point
    details = [e for e in error.errors(include_url=False) if not isinstance(_cause(e), Broken)]
    if len(details) > 1 and any(isinstance(k, str) for e in details for k in e["loc"]):
        # one problem, not one for each kind that a union allows
        whole = f"{shown(error.errors()[0]['input'])} is not allowed" if len(details[0]["loc"]) == 1 else "not allowed"
        return [((), f"{whole}: expected {type_name(option.hint)}", "")]
    found = []
    for e in details:
        cause = _cause(e)
        message = str(cause) if cause else f"{shown(e['input'])} is not allowed: {_expected(e)}"
        key = tuple(k for k in e["loc"] if isinstance(k, int) or k.isidentifier())
        found.append((key, message, getattr(cause, "hint", "")))
    return found


def _cause(error: Mapping[str, Any]) -> ValueError | None:
    cause = error.get("ctx", {}).get("error")
    return cause if isinstance(cause, ValueError) else None


def _expected(error: Mapping[str, Any]) -> str:
    """What pydantic wants, in the words of a recipe."""
    for start, words in EXPECTED.items():
        if error["type"].startswith(start):
            return words.format(**error.get("ctx", {}))
    message = str(error["msg"]).replace("Input should be", "expected").replace("Input should", "it should")
    return message[:1].lower() + message[1:]


def type_name(hint: Any) -> str:
    """A type as people write it."""
    arguments = get_args(hint)
    origin = get_origin(hint)
    if origin is Annotated:
        bounds = [f"{sign} {value}" for limit in arguments[1:] for sign, value in _limits(limit)]
        return " ".join([type_name(arguments[0]), *bounds])
    if origin is Literal:
        return " or ".join(map(str, arguments))
    if origin in (Union, UnionType):
        return " or ".join(type_name(a) for a in arguments)
    if origin in (tuple, list) and arguments:
        return f"[{', '.join(type_name(a) if a is not ... else '...' for a in arguments)}]"
    if origin is not None:
        return str(hint).replace("typing.", "")
    return "none" if hint is type(None) else getattr(hint, "__name__", str(hint))


def _limits(limit: Any) -> list[tuple[str, Any]]:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    return [(sign, getattr(limit, key)) for key, sign in signs.items() if getattr(limit, key, None) is not None]
