"""Heatmaps as small grey pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from realism.data.rows import Heatmap, Sample

if TYPE_CHECKING:
    import numpy as np

LONGEST = 128
"""Pixels of the longer side of a map; larger ones are shrunk."""


def write_maps(
    folder: Path, root: Path, samples: Sequence[Sample], maps: Mapping[str, Sequence[np.ndarray]]
) -> list[Heatmap]:
    """Write maps (h, w) in [0, 1], one a sample and name, as 8-bit grey PNG files of which no side is above LONGEST;
    returns what there is then, with paths relative to root."""
    rows = []
    for name, those in maps.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for sample, values in zip(samples, those, strict=True):
            path = folder / name / f"{sample.id}.png"
            _write(values, path)
            rows.append(Heatmap(sample.id, name, path.relative_to(root).as_posix()))
    return rows


def _write(values: np.ndarray, path: Path) -> None:
    import numpy as np
    from PIL import Image

    from realism.base.files import atomic_write

    grey = Image.fromarray((values * 255).round().astype(np.uint8))
    grey.thumbnail((LONGEST, LONGEST), Image.Resampling.BOX)
    with atomic_write(path) as temporary:
        grey.save(temporary, "PNG")
