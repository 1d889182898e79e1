"""Whether what a reward returns is what it promises, in words."""

from __future__ import annotations

import json
import keyword
import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from realism.base.errors import listed, nearest, shown
from realism.parts.returned import value_type
from realism.parts.reward import Reward, Scores

if TYPE_CHECKING:
    import torch

OFF = 1e-3
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
ANSWER = {"question", "expected", "answer", "right"}
"""What each of a detail's `answers` has."""


def names_error(reward: Reward) -> str | None:
    """One sentence if a value or a map of a reward is called what no recipe can write, else None."""
    for where, names in (("outputs", reward.outputs), ("map_names", reward.map_names)):
        for name in names:
            if not NAME.fullmatch(name) or keyword.iskeyword(name):
                what = f"'{where}' of {type(reward).__name__} has {name!r}"
                return f"{what}; a name is letters, digits and _, a letter first"
    return None


def scores_error(reward: Reward, scores: Any, n: int) -> str | None:
    """One sentence if that is not what this reward may say of n pictures, else None."""
    if not isinstance(scores, Scores):
        return f"score gave {value_type(scores)}, not Scores: return Scores(torch.tensor(values))"
    return (
        values_error(reward, scores.values, n)
        or (range_error(reward, scores.values) if n else None)
        or details_error(scores.details, n)
        or maps_error(scores.maps, reward.map_names, n)
    )


def values_error(reward: Reward, values: Any, n: int) -> str | None:
    """One sentence unless the values are one number a picture, by name if the reward has several, else None."""
    if not isinstance(values, Mapping):
        if reward.outputs:
            named = ", ".join(f'"{name}": ...' for name in reward.outputs)
            return f"expected values by name, not {value_type(values)}: return Scores({{{named}}})"
        return _value_error("values", values, n)
    if not reward.outputs:
        return f"values have names ({listed(values)}), but 'outputs' names none: declare them there, as Output(range)"
    if wrong := _names_error("value", values, reward.outputs, "outputs"):
        return wrong
    return next((wrong for name in values if (wrong := _value_error(f"value '{name}'", values[name], n))), None)


def range_error(reward: Reward, values: torch.Tensor | Mapping[str, torch.Tensor]) -> str | None:
    """One sentence if a value, in which `values_error` finds no fault, is outside of what the reward says that it can
    be; a thousandth of rounding is let pass."""
    meanings = reward.meanings()
    for name, those in by_full_name(reward, values).items():
        low, high = meanings[name].range
        slack = OFF * max(1.0, *(abs(end) for end in (low, high) if math.isfinite(end)), 0.0)
        outside = those[those.isfinite() & ((those < low - slack) | (those > high + slack))]
        if len(outside):
            gave = f"'{name}' gave {float(outside[0]):.6g}, not within {low:g} to {high:g}"
            return f"{gave}: widen its range, or scale the value"
    return None


def details_error(details: Any, n: int) -> str | None:
    """One sentence unless the details are none, or one JSON-like mapping a picture, else None."""
    if not isinstance(details, Sequence):
        return f"details are {value_type(details)}, not a list with one a picture"
    if details and len(details) != n:
        return f"{_pictures(n)} gave {len(details)} details, neither {n} nor none"
    for detail in details:
        if not isinstance(detail, Mapping):
            return f"a detail is {value_type(detail)}, not a mapping such as {{'seen': 2}}"
        try:
            json.dumps(dict(detail), sort_keys=True)
        except (TypeError, ValueError) as error:
            return f"a detail is not JSON: {error}"
        answers = detail.get("answers", ())
        if not isinstance(answers, Sequence) or not all(isinstance(a, Mapping) and set(a) >= ANSWER for a in answers):
            return f"of 'answers', each should have {', '.join(sorted(ANSWER))}; got {shown(answers)}"
    return None


def maps_error(maps: Any, names: Sequence[str], n: int) -> str | None:
    """One sentence unless the maps are those of these names, one a picture, 2-D and in [0, 1], else None."""
    import numpy as np

    if not isinstance(maps, Mapping):
        return f"maps are {value_type(maps)}, not lists by name"
    if not n and not maps:
        return None
    if wrong := _names_error("map", maps, names, "map_names"):
        return wrong
    for name, those in maps.items():
        if not isinstance(those, Sequence | np.ndarray):
            return f"maps '{name}' are {value_type(those)}, not a list with one a picture"
        if len(those) != n:
            return f"{_pictures(n)} gave {len(those)} maps '{name}', not {n}"
        for one in those:
            if not isinstance(one, np.ndarray) or not np.issubdtype(one.dtype, np.floating):
                kind = f"an array of {one.dtype}" if isinstance(one, np.ndarray) else value_type(one)
                return f"a map '{name}' is {kind}, not an array of floats"
            if one.ndim != 2 or not one.size:
                return f"a map '{name}' has the shape {one.shape}, not (height, width)"
            if not np.isfinite(one).all():
                return f"a map '{name}' is not finite everywhere"
            if one.min() < 0 or one.max() > 1:
                return f"a map '{name}' goes from {one.min():.4g} to {one.max():.4g}, not within 0 to 1"
    return None


def by_full_name(reward: Reward, values: torch.Tensor | Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Values in which `values_error` finds no fault, by their full names, in the order of `Reward.meanings`."""
    several = [values[name] for name in reward.outputs] if isinstance(values, Mapping) else [values]
    return dict(zip(reward.meanings(), several, strict=True))


def _names_error(kind: str, given: Collection[str], named: Collection[str], where: str) -> str | None:
    for name in given:
        if name not in named:
            near = nearest(name, named)
            return f"{kind} {shown(name)} is none of '{where}', which has: {listed(named)}{near}"
    lacking = [name for name in named if name not in given]
    return f"there is no {kind} {shown(lacking[0])}, which is one of '{where}'" if lacking else None


def _value_error(what: str, values: Any, n: int) -> str | None:
    import torch

    if not isinstance(values, torch.Tensor):
        return f"{what}: expected a tensor, not {value_type(values)}: wrap it in torch.tensor(...)"
    if tuple(values.shape) != (n,):
        mend = "use .flatten()" if values.numel() == n else "give one number a picture, NaN where there is no answer"
        return f"{what}: {_pictures(n)} gave the shape {tuple(values.shape)}, not ({n},): {mend}"
    return (
        None if values.is_floating_point() else f"{what}: expected float32, not {str(values.dtype)[6:]}: use .float()"
    )


def _pictures(n: int) -> str:
    return f"{n} picture{'s' * (n != 1)}"
