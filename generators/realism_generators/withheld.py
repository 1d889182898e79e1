"""Pictures that a pipeline did not really draw: blackened by its safety checker, or decoded from NaN."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

WITHHELD = "the model's safety checker flagged it and made it black"
NOT_FINITE = "the model computed numbers that are not finite (NaN or infinite); dtype float32 may help"


@contextlib.contextmanager
def decoded(pipeline: Any) -> Iterator[list[bool]]:
    """Whether each picture that the pipeline's autoencoder decodes until the block ends is finite, in order."""
    import numpy as np

    autoencoder = pipeline.components.get("vae") or pipeline.components["vqvae"]
    finite: list[bool] = []

    def note(_: Any, given: Any, made: torch.Tensor) -> None:
        finite.extend(made.isfinite().flatten(1).all(1).tolist())

    handle = autoencoder.decoder.register_forward_hook(note)
    try:
        with np.errstate(invalid="ignore"):  # of NaN that becomes a pixel
            yield finite
    finally:
        handle.remove()


def not_finite(finite: Sequence[bool], pictures: int) -> list[bool]:
    """For each of the pictures, whether it is not finite. If the pipeline decoded another number of images, one that is
    not finite counts against all."""
    return [not fine for fine in finite] if len(finite) == pictures else [not all(finite)] * pictures
