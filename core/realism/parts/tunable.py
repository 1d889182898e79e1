"""Parts that learn."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

from realism.parts.base import Part


class Tunable(Part):
    """A part whose weights a trainer can change: a generator, a retriever or a reward also inherits from this."""

    @abstractmethod
    def use_weights(self, folder: Path | None) -> None:
        """From now on, use what a trainer has saved in this folder; None goes back to the weights it came with."""
