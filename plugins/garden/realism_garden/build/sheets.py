"""Picture sheets: the species, and what the cards show."""

from __future__ import annotations

import random
from collections.abc import Sequence

from PIL import Image

from ..render import render
from ..scene import random_scene
from ..species import SPECIES


def sheet(images: Sequence[Image.Image], columns: int, gap: int = 2, scale: int = 1) -> Image.Image:
    """Pictures of one size in rows of ``columns``, on white."""
    w, h = images[0].size
    rows = -(-len(images) // columns)
    out = Image.new("RGB", (columns * (w + gap) + gap, rows * (h + gap) + gap), "white")
    for i, image in enumerate(images):
        out.paste(image, (gap + (i % columns) * (w + gap), gap + (i // columns) * (h + gap)))
    return out.resize((out.width * scale, out.height * scale), Image.Resampling.NEAREST) if scale > 1 else out


def species_sheet(seed: int) -> Image.Image:
    """All 24 species in eight columns: three rows with one flower each, then three with two or three."""
    rng = random.Random(f"sheet {seed}")
    single = [render(random_scene(rng, s, count=1), rng.randrange(2**31)) for s in SPECIES]
    groups = [render(random_scene(rng, s, count=rng.choice((2, 3))), rng.randrange(2**31)) for s in SPECIES]
    return sheet(single + groups, 8, scale=2)
