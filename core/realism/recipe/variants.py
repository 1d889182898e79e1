"""Variants: one recipe for several datasets, generators, ...; `choose` says which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from realism.base.errors import listed, nearest, shown
from realism.recipe.source import Key, Source, merge

UNCHANGEABLE = ("choose", "extends", "variants")
MAX_AXES = 50


def chosen(source: Source) -> Source:
    """The recipe with the chosen variant of each axis put in, in the order of the axes; problems are noted.

    `variants: {AXIS: {NAME: {...}}}` holds pieces of a recipe; `choose: {AXIS: NAME}` puts one of each on top, as if
    the recipe extended the rest.
    """
    variants, choose = source.data.pop("variants", None) or {}, source.data.get("choose") or {}
    for key, value in (("variants", variants), ("choose", choose)):
        if not isinstance(value, Mapping):
            source.problem((key,), f"expected a mapping of axes, such as generator, not {shown(value)}")
            return source
    if len(variants) > MAX_AXES:
        source.problem(("variants",), f"{len(variants):,} axes are too many: {MAX_AXES} are allowed")
        return source
    for axis in choose:
        if axis not in variants:
            hint = f"axes: {listed(variants)}"
            source.problem(("choose", axis), f"the recipe has no variants of '{axis}'{nearest(axis, variants)}", hint)
    for axis, pieces in variants.items():
        piece = _piece(source, axis, pieces, choose.get(axis))
        if piece is not None:
            source = merge(source, piece)
    return source


def _piece(source: Source, axis: str, pieces: Any, name: Any) -> Source | None:
    key: Key = ("variants", axis)
    name = str(name) if isinstance(name, bool | int | float) else name
    if not isinstance(pieces, Mapping) or not pieces:
        source.problem(key, f"expected names with pieces of a recipe, not {shown(pieces)}")
        return None
    if isinstance(name, dict | list) or name not in pieces:
        known = f"available: {listed(pieces)}"
        message = f"no variant {shown(name)}{nearest(str(name), pieces)}" if name is not None else "a variant is needed"
        source.lose(("choose", axis), message, known)
        source.broken.add(("parts",))  # what it would have brought is missing, which is not reported again
        return None
    piece = pieces[name] or {}
    if not isinstance(piece, Mapping):
        source.problem((*key, name), f"expected a piece of a recipe, such as {{parts: ...}}, not {shown(piece)}")
        return None
    for unchangeable in set(piece) & set(UNCHANGEABLE):
        source.problem(
            (*key, name, unchangeable), f"a variant cannot hold '{unchangeable}'; write it beside 'variants'"
        )
    kept = {k: v for k, v in piece.items() if k not in UNCHANGEABLE}
    depth = len(key) + 1
    places = {k[depth:]: v for k, v in source.places.items() if k[:depth] == (*key, name) and len(k) > depth}
    return Source(kept, places)
