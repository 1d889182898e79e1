"""Conditions in a recipe: `faithful >= 0.9 and licence in ["CC0", "CC-BY"]`. They compare columns, and do no more."""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any

from realism.base.errors import RealismError, listed, nearest, shown

COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.GtE: operator.ge,
    ast.Gt: operator.gt,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
SIGNS = "< <= == != >= > in"
LONGEST = 2000
ADVICE = {
    "&&": "; join comparisons with 'and'",
    "&": "; join comparisons with 'and'",
    "||": "; join comparisons with 'or'",
    "|": "; join comparisons with 'or'",
    "=": "; equal is written '=='",
    ",": "; a decimal point is written '.'",
}
"""What to do about a sign that people try."""


class Condition:
    """A condition on the columns of a table.

    Comparisons of names with numbers, texts, true, false or lists of them, joined by and, or, not and brackets. A name
    may have a dot in it, as `critic.plausibility`, which is a column like any other.
    Raises RealismError at once for any other text.
    """

    def __init__(self, text: str):
        self.text = text.strip()
        self.names: set[str] = set()
        """The columns it compares."""
        if len(text) > LONGEST:
            raise self._error(f"it is longer than {LONGEST} characters")
        try:
            with warnings.catch_warnings(action="ignore"):
                self._tree = ast.parse(self.text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise self._error(f"expected a comparison, such as 'score >= 0.5'{self._advice()}") from None
        self._check(self._tree)
        if not self.names:
            raise self._error("it names no column, so it is the same for all")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """An option of this type is written as text in the recipe."""
        from pydantic_core import core_schema

        def read(value: Any) -> Condition:
            if not isinstance(value, str):
                raise ValueError(f"expected a condition such as 'score >= 0.5', not {shown(value)}")
            try:
                return cls(value)
            except RealismError as error:
                raise ValueError(str(error)) from None

        return core_schema.no_info_plain_validator_function(read)

    def __repr__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Condition) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __call__(self, row: Mapping[str, Any]) -> bool:
        """Whether a row meets the condition. A comparison with a missing (None or NaN) value is false; a comparison of
        unlike types (text with number) raises RealismError."""
        return self._value(self._tree, row)

    def unknown(self, names: Collection[str]) -> str | None:
        """One sentence if the condition names a column that is not among `names`, else None."""
        for name in sorted(self.names - set(names)):
            return f"{shown(self.text)} names '{name}'; available: {listed(names)}{nearest(name, names)}"
        return None

    def _error(self, why: str) -> RealismError:
        return RealismError(f"{shown(self.text)} is no condition: {why}")

    def _written(self, node: ast.expr) -> str:
        return ast.get_source_segment(self.text, node) or self.text

    def _advice(self) -> str:
        bare = re.sub(r"""'[^']*'|"[^"]*"|[<>=!]=""", "", self.text)
        return next((advice for sign, advice in ADVICE.items() if sign in bare), "")

    def _check(self, node: ast.expr) -> None:
        match node:
            case ast.BoolOp(values=values):
                for value in values:
                    self._check(value)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                self._check(operand)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                for op in ops:
                    if type(op) not in COMPARISONS:
                        raise self._error(f"expected one of {SIGNS} after '{self._written(left)}'")
                for side in (left, *comparators):
                    self._operand(side)
                for op, side in zip(ops, comparators, strict=True):
                    if isinstance(op, ast.In | ast.NotIn) and not isinstance(side, ast.List | ast.Tuple | ast.Name):
                        raise self._error(f"expected a list after 'in', such as ['a', 'b'], not {self._written(side)}")
            case ast.Attribute() if _dotted(node):
                raise self._error(f"expected one of {SIGNS} after '{_dotted(node)}'")
            case ast.Name() | ast.BinOp():
                first = node.left if isinstance(node, ast.BinOp) else node
                raise self._error(f"expected one of {SIGNS} after '{self._written(first)}'")
            case _:
                raise self._error(f"{shown(self._written(node))} compares nothing{self._advice()}")

    def _operand(self, node: ast.expr) -> None:
        match node:
            case ast.Name(id=name):
                if name not in ("true", "false"):
                    self.names.add(name)
            case ast.Attribute() if _dotted(node):
                self.names.add(_dotted(node))
            case ast.Constant(value=str() | int() | float()):
                pass
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float())):
                pass
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                for element in elements:
                    self._operand(element)
            case _:
                source = shown(self._written(node))
                raise self._error(f"{source} is neither a name, a number, a text nor a list{self._advice()}")

    def _value(self, node: ast.expr, row: Mapping[str, Any]) -> Any:
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                return all(self._value(v, row) for v in values)
            case ast.BoolOp(values=values):
                return any(self._value(v, row) for v in values)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self._value(operand, row)
            case ast.UnaryOp(operand=ast.Constant(value=value)):
                return -value  # type: ignore[operator]
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                sides = [self._value(s, row) for s in (left, *comparators)]
                return all(self._compare(op, a, b) for op, a, b in zip(ops, sides, sides[1:], strict=False))
            case ast.Name(id=name):
                return {"true": True, "false": False}.get(name, row.get(name))
            case ast.Attribute():
                return row.get(_dotted(node))
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return [self._value(e, row) for e in elements]
            case ast.Constant(value=value):
                return value
        raise AssertionError(ast.dump(node))

    def _compare(self, op: ast.cmpop, left: Any, right: Any) -> bool:
        try:
            if any(v is None or v != v for v in (left, right)):
                return False
            return bool(COMPARISONS[type(op)](left, right))
        except (TypeError, ValueError, OverflowError):
            raise RealismError(
                f"{shown(self.text)} compares {shown(left)} with {shown(right)}, which are not alike; put texts in "
                "quotes, numbers not"
            ) from None


def _dotted(node: ast.Attribute) -> str:
    """The column `a.b`; "" for what is no name with one dot, or is a name of Python's own."""
    match node:
        case ast.Attribute(value=ast.Name(id=first), attr=second) if not second.startswith("_"):
            return f"{first}.{second}"
    return ""
