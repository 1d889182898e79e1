"""Sentences for what a part returned and should not have; see `scores` for rewards."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from realism.base.errors import RealismError
from realism.data.artifacts import Artifact
from realism.data.types import Unmade
from realism.parts.base import Part

if TYPE_CHECKING:
    import numpy as np

OFF = 1e-2
"""How far from 1 the length of a row may be: as much as half precision makes of it."""


class BrokenContract(RealismError):
    """A part that returned what it should not: `part`, and `problem`, one sentence."""

    exit_code = 1

    def __init__(self, part: Part, problem: str):
        self.part, self.problem = part, problem
        super().__init__(f"{part.family} '{part.part_name or type(part).__name__}' breaks its contract: {problem}")

    def __reduce__(self) -> tuple[type[BrokenContract], tuple[Part, str]]:
        return BrokenContract, (self.part, self.problem)


def require(part: Part, wrong: str | None) -> None:
    """Raises BrokenContract if there is a sentence."""
    if wrong:
        raise BrokenContract(part, wrong)


def pictures_error(made: Any, n: int) -> str | None:
    """One sentence unless these are the pictures of n requests: whole, RGB, and of a size that can be kept."""
    if not isinstance(made, list | tuple):
        return f"generate gave {value_type(made)}, not a list of pictures"
    if len(made) != n:
        gave = f"{n} request{'s' * (n != 1)} gave {len(made)} picture{'s' * (len(made) != 1)}"
        return f"{gave}: give one for each, or Unmade(reason) in its place"
    return next(filter(None, map(_picture_error, made)), None)


def _picture_error(image: Any) -> str | None:
    from PIL import Image

    from realism.base.images import MAX_PIXELS

    if isinstance(image, Unmade):
        return None if image.reason else "Unmade does not say why the picture was not made"
    if not isinstance(image, Image.Image):
        return f"a picture is {value_type(image)}, neither an image of Pillow nor Unmade: use Image.fromarray(array)"
    if image.mode != "RGB":
        return f"a picture is {image.mode}, not RGB: 'picture.convert(\"RGB\")' makes it so"
    if not 0 < image.width * image.height <= MAX_PIXELS:
        return f"a picture has {image.width} x {image.height} pixels, not 1 to {MAX_PIXELS // 10**6} million"
    try:
        image.load()
    except Exception as error:
        return f"a picture cannot be read, as if it were closed: {error}"
    return None


def rows_error(method: str, rows: Any, n: int, unit_length: bool = True) -> str | None:
    """One sentence unless these are the vectors (n, d) float32 of n things, each of length 1 if they should be."""
    import numpy as np

    if not isinstance(rows, np.ndarray):
        return f"{method} gave {value_type(rows)}, not an array of NumPy: 'tensor.cpu().numpy()' makes one"
    if not n and not len(rows):
        return None
    if rows.ndim != 2 or len(rows) != n or not rows.shape[1]:
        return f"{method} gave the shape {rows.shape} for {n} item{'s' * (n != 1)}, not ({n}, d)"
    if rows.dtype != np.float32:
        return f"{method} gave {rows.dtype}, not float32: use .astype(np.float32)"
    if not np.isfinite(rows).all():
        return f"{method} gave a row that is not finite"
    if not unit_length:
        return None
    lengths = np.linalg.norm(rows, axis=1)
    worst = float(lengths[np.abs(lengths - 1).argmax()])
    mend = "divide each row by its norm"
    return f"{method} gave a row of length {worst:.4g}, not 1: {mend}" if abs(worst - 1) > OFF else None


def found_error(found: Any, queries: int, k: int, rows: int, allowed: np.ndarray | None) -> str | None:
    """One sentence unless these are similarities and rows, (queries, k) each, of an index of so many rows."""
    import numpy as np

    if not isinstance(found, tuple) or len(found) != 2 or not all(isinstance(one, np.ndarray) for one in found):
        return f"search gave {value_type(found)}, not two arrays: similarities and rows"
    similarities, at = found
    if at.ndim != 2 or at.shape != similarities.shape or len(at) != queries or at.shape[1] > k:
        return f"search gave the shapes {similarities.shape} and {at.shape}, not ({queries}, {k}) twice"
    if not np.issubdtype(at.dtype, np.integer) or not np.issubdtype(similarities.dtype, np.floating):
        return f"search gave {similarities.dtype} and {at.dtype}, not float32 and int64"
    available = at >= 0
    if at.size and (at.max() >= rows or at.min() < -1):
        return f"search found row {at.max() if at.max() >= rows else at.min()} of an index of {rows} rows"
    if np.isnan(similarities[available]).any():
        return "search gave a similarity that is not a number"
    return (
        "search found a row that is not allowed" if allowed is not None and not allowed[at[available]].all() else None
    )


def replies_error(replies: Any, n: int) -> str | None:
    """One sentence unless these are n texts."""
    if not isinstance(replies, list | tuple):
        return f"reply gave {value_type(replies)}, not a list of texts"
    if len(replies) != n:
        return f"{n} chat{'s' * (n != 1)} got {len(replies)} repl{'ies' if len(replies) != 1 else 'y'}"
    other = next((one for one in replies if not isinstance(one, str)), None)
    return f"a reply is {value_type(other)}, not a text" if not all(isinstance(one, str) for one in replies) else None


def number_error(method: str, value: Any) -> str | None:
    """One sentence unless it is a number that is finite."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return f"{method} gave {value_type(value)}, not a number"
    return f"{method} gave {value}" if not math.isfinite(value) else None


def artifacts_error(method: str, found: Any) -> str | None:
    """One sentence unless these are artifacts."""
    if not isinstance(found, list | tuple | set | frozenset | Mapping):
        return f"{method} gave {value_type(found)}, not a list of artifacts"
    other = [one for one in found if not isinstance(one, Artifact)]
    return f"{method} gave a list with {value_type(other[0])} in it, which is no artifact" if other else None


def value_type(value: Any) -> str:
    """What a value is: "a dict", "an int", "nothing"."""
    name = type(value).__name__
    return "nothing" if value is None else f"an {name}" if name[0] in "aeiouAEIOU" else f"a {name}"
