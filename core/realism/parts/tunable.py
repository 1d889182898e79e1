"""Parts that learn."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from realism.parts.base import Part, parts_of

if TYPE_CHECKING:
    from realism.data.state import Slot


class Tunable(Part):
    """A part whose weights a trainer can change: a generator, a retriever or a reward also inherits from this."""

    @abstractmethod
    def use_weights(self, folder: Path | None) -> None:
        """From now on, use what a trainer has saved in this folder; None goes back to the weights it came with."""


def learnt_slots(part: Part, there: Collection[str]) -> list[str]:
    """The slots with weights that a trainer has made for a part or any part it uses."""
    names = [f"weights:{inner.part_name}" for inner in parts_of(part) if isinstance(inner, Tunable)]
    return [slot for slot in dict.fromkeys(names) if slot in there]


def use_learnt(part: Part, state: Mapping[str, Slot]) -> None:
    """Give a part, and all parts it uses, the weights that the last `train` step before made for each, or its own."""
    for inner in parts_of(part):
        if isinstance(inner, Tunable):
            learnt = state.get(f"weights:{inner.part_name}")
            inner.use_weights(learnt.path if learnt else None)
