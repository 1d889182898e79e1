"""A dual encoder with an MLP after its vision encoder: what RealRAG trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le
from realism.base.files import fingerprint_path
from realism.parts import Index, Projection, Retriever, Tunable

if TYPE_CHECKING:
    import numpy as np
    import torch

FILE = "projection.safetensors"


@dataclass
class Projected(Projection, Tunable):
    """Another retriever with an MLP after its vision encoder; its text encoder stays as it is.

    The row of an image is normalize(z + W2 gelu(W1 z + b1) + b2), z the encoder's row. W2 and b2 are 0 before
    training, so an untrained one retrieves exactly as its encoder does (the paper's zero-shot RAG). Source: RealRAG
    (Lyu et al. 2025) section 3.3, "a simple MLP layer at the end of the vision encoder"; its shape is not stated there.
    """

    encoder: Retriever
    """The pre-trained dual encoder, which is not changed."""
    width: Annotated[int, Ge(1), Le(65_536)] = 512
    """Hidden units of the MLP."""
    index: Index = "auto"  # type: ignore[assignment]
    """What searches the images it has encoded."""

    _trained: Path | None = field(default=None, init=False, repr=False)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self.encoder.encode_texts(texts)

    def use_weights(self, folder: Path | None) -> None:
        self._trained = folder
        self.__dict__.pop("_mlp", None)

    @property
    def trained(self) -> str:
        """32 hex digits that identify what was learned so far, "" for nothing."""
        return fingerprint_path(self._trained) if self._trained else ""

    def project(self, rows: np.ndarray) -> np.ndarray:
        """Rows (n, d) of the encoder -> rows (n, d) float32, each of length 1."""
        import torch

        if self._trained is None or not len(rows):
            return rows
        with torch.inference_mode():
            return self._mlp(torch.from_numpy(rows)).numpy()

    def mlp(self) -> Any:
        """A new MLP for this encoder, with what was learned so far."""
        import torch
        from realism.base.loading import read_tensors

        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):  # an encoder may load
            d = self.encoder.encode_texts([""]).shape[1]
        module = projection(d, self.width)
        if self._trained is not None:
            module.load_state_dict(read_tensors(self._trained / FILE))
        return module

    @cached_property
    def _mlp(self) -> Any:
        return self.mlp().eval()


def projection(d: int, width: int) -> torch.nn.Module:
    """The MLP, (n, d) -> (n, d) float32 with rows of length 1; the identity (on such rows) before training."""
    from torch import nn

    class ProjectionHead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(d, width)
            self.outer = nn.Linear(width, d)
            nn.init.zeros_(self.outer.weight)
            nn.init.zeros_(self.outer.bias)

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return nn.functional.normalize(rows + self.outer(nn.functional.gelu(self.inner(rows))), dim=-1)

    return ProjectionHead()
