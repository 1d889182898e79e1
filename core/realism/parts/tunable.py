"""Parts that learn."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from realism.parts.base import Part

if TYPE_CHECKING:
    from realism.run.state import Slot


class Tunable(Part):
    """A part whose weights a trainer can change: a generator, a retriever or a reward also inherits from this."""

    @abstractmethod
    def use_weights(self, folder: Path | None) -> None:
        """From now on, use what a trainer has saved in this folder; None goes back to the weights it came with."""


def use_learnt(part: Part, state: Mapping[str, Slot]) -> None:
    """Give a part the weights that the last `train` step before made for it, or its own if there was none."""
    if isinstance(part, Tunable):
        learnt = state.get(f"weights:{part.part_name}")
        part.use_weights(learnt.path if learnt else None)
