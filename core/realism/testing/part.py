"""What every part must do, whatever its family."""

from __future__ import annotations

import dataclasses
import pickle
import sys
from typing import Any

import numpy as np

from realism.parts import Part


class PartSuite:
    """Inherited by the suite of each family. A subclass has the fixture `part`."""

    def test_it_says_what_it_is(self, part: Part) -> None:
        own = type(part).__dict__.get("__doc__") or ""
        generated = own.startswith(f"{type(part).__name__}(")
        assert own.strip() and not generated, f"{type(part).__name__} has no docstring; its first line says what it is"

    def test_each_option_is_documented(self, part: Part) -> None:
        from realism.recipe.options import documented_options

        assert dataclasses.is_dataclass(part), f"{type(part).__name__} is no dataclass, so it cannot have options"
        silent = [option.name for option in documented_options(type(part)) if not option.doc]
        assert not silent, f"these options have neither a comment behind them nor a string below: {', '.join(silent)}"

    def test_its_options_fit_together(self, part: Part) -> None:
        sentence = part.options_error()
        assert sentence is None, f"options_error() finds fault with the options it was given: {sentence}"

    def test_it_can_be_sent_to_another_process(self, part: Part) -> None:
        if getattr(sys.modules[type(part).__module__], type(part).__name__, None) is not type(part):
            return  # it is made in a function or a notebook, and registered parts are not
        sent = pickle.loads(pickle.dumps(part))  # noqa: S301 - made on the spot
        assert sent == part, "what arrives in another process is not equal to what was sent: are all options kept?"

    def test_what_it_reads_is_there(self, part: Part) -> None:
        missing = [str(path) for path in part.inputs() if not path.exists()]
        assert not missing, f"inputs() names what is not there: {', '.join(missing)}"


def farthest(a: Any, b: Any) -> float:
    """The greatest difference of two arrays or pictures; two NaN in one place are equal."""
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert x.shape == y.shape, f"shapes {x.shape} and {y.shape} differ"
    same = np.isnan(x) & np.isnan(y)
    return float(np.max(np.where(same, 0, np.nan_to_num(np.abs(x - y), nan=np.inf)), initial=0))


def check_gradient(pixels: Any) -> None:
    """Fails unless the pixels have got a gradient that is finite and not zero for each picture."""
    import torch

    assert pixels.grad is not None, "no gradient reaches the pixels"
    assert torch.isfinite(pixels.grad).all(), "the gradient to the pixels is not finite"
    reached = pixels.grad.flatten(1).abs().amax(1) > 0
    assert reached.all(), "the gradient to the pixels of a picture is zero"
