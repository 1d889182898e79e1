"""Picture sheets: the species, and what the cards show."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

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


def save_small(image: Image.Image, path: Path) -> None:
    """Saves a sheet as PNG of 160 colours, which keeps a card's picture under 200 kB."""
    image.quantize(160, dither=Image.Dither.NONE).save(path, optimize=True)


def nearest_sheet(folder: Path, seed: int, columns: int = 8) -> Image.Image:
    """A row for each of eight species: the held-out renders nearest to its plain caption, for an OpenCLIP folder."""
    import open_clip

    from ..captions import plain_caption
    from .clip import ScenePool, embed
    from .common import to_float

    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    pool = ScenePool(f"sheet {seed}", 480)
    words = [plain_caption(s.name) for s in SPECIES[::3]]
    image, text = embed(model.eval(), tokenizer, to_float(pool.images), words)
    best = (text @ image.T).topk(columns).indices.flatten().tolist()
    return sheet([Image.fromarray(pool.images[i].permute(1, 2, 0).numpy()) for i in best], columns)


def answers_sheet(images: Sequence[Image.Image], lines: Sequence[Sequence[str]], columns: int = 3) -> Image.Image:
    """Pictures twice as large, each with lines of text below it, in rows of ``columns``."""
    cells = []
    for image, texts in zip(images, lines, strict=True):
        cell = Image.new("RGB", (260, 136 + 13 * len(texts)), "white")
        cell.paste(image.resize((128, 128), Image.Resampling.NEAREST), (66, 4))
        draw = ImageDraw.Draw(cell)
        for i, text in enumerate(texts):
            draw.text((6, 134 + 13 * i), text, fill="black", font_size=11)
        cells.append(cell)
    return sheet(cells, columns)
