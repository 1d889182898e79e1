"""The backgrounds of the garden, painted once and kept."""

from __future__ import annotations

import random
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE = 256  # pictures are drawn at 256 and reduced by 4, which smooths their edges
VARIANTS = 6

SKIES = {  # top and horizon colour by light
    "day": ((112, 182, 236), (214, 236, 246)),
    "dusk": ((122, 84, 150), (250, 170, 120)),
    "night": ((14, 18, 54), (46, 56, 110)),
}
TINTS = {"day": (1.0, 1.0, 1.0), "dusk": (0.92, 0.74, 0.68), "night": (0.34, 0.38, 0.56)}


def tinted(colour: tuple, light: str) -> tuple[int, ...]:
    return tuple(int(c * t) for c, t in zip(colour, TINTS[light], strict=True))


def gradient(top: tuple, bottom: tuple, height: int, width: int = SIZE) -> np.ndarray:
    """A vertical blend [height, width, 3] uint8 from one colour to another."""
    t = np.linspace(0, 1, height)[:, None, None]
    column = np.asarray(top) * (1 - t) + np.asarray(bottom) * t
    return np.broadcast_to(column, (height, width, 3)).astype(np.uint8)


@cache
def background(kind: str, light: str, variant: int) -> Image.Image:
    """A background of 256 × 256 pixels; ``variant`` (0 to 5) moves its details."""
    rng = random.Random(f"{kind} {light} {variant}")
    image = Image.fromarray(gradient(*SKIES[light], SIZE))
    draw = ImageDraw.Draw(image)
    if kind in ("meadow", "beach", "snow", "desert"):
        _sky(draw, light, rng)
    _PAINTERS[kind](image, draw, light, rng)
    return image


def _sky(draw: ImageDraw.ImageDraw, light: str, rng: random.Random) -> None:
    if light == "night":
        for _ in range(14):
            x, y = rng.randrange(SIZE), rng.randrange(130)
            draw.ellipse((x - 2.5, y - 2.5, x + 2.5, y + 2.5), fill=(240, 240, 210))
    else:
        for _ in range(2):
            x, y = rng.randrange(SIZE), rng.randrange(20, 90)
            cloud = (248, 250, 252) if light == "day" else (250, 200, 170)
            for dx, r in ((-22, 10), (0, 15), (22, 10)):
                draw.ellipse((x + dx - 1.6 * r, y - r, x + dx + 1.6 * r, y + r), fill=cloud)


def _hill(draw: ImageDraw.ImageDraw, y: float, amplitude: float, phase: float, colour: tuple) -> None:
    xs = np.linspace(0, SIZE, 24)
    ys = y + amplitude * np.sin(xs / 45 + phase)
    draw.polygon([*zip(xs, ys, strict=True), (SIZE, SIZE), (0, SIZE)], fill=colour)


def _meadow(image: Image.Image, draw: ImageDraw.ImageDraw, light: str, rng: random.Random) -> None:
    _hill(draw, 150, 10, rng.uniform(0, 6), tinted((122, 178, 92), light))
    _hill(draw, 182, 8, rng.uniform(0, 6), tinted((92, 156, 70), light))
    for _ in range(16):
        x, h = rng.randrange(SIZE), rng.uniform(12, 26)
        draw.polygon(
            [(x - 4, SIZE), (x + rng.uniform(-6, 6), SIZE - h), (x + 4, SIZE)], fill=tinted((66, 128, 54), light)
        )


def _beach(image: Image.Image, draw: ImageDraw.ImageDraw, light: str, rng: random.Random) -> None:
    draw.rectangle((0, 128, SIZE, SIZE), fill=tinted((44, 140, 190), light))
    for y in (140, 152):
        x = rng.randrange(160)
        draw.line((x, y, x + 60, y), fill=tinted((150, 210, 230), light), width=4)
    _hill(draw, 176, 5, rng.uniform(0, 6), tinted((246, 240, 222), light))
    _hill(draw, 184, 5, rng.uniform(0, 6), tinted((238, 210, 150), light))


def _snow(image: Image.Image, draw: ImageDraw.ImageDraw, light: str, rng: random.Random) -> None:
    x = rng.choice((26, 128, 230)) + rng.uniform(-12, 12)
    for top, half in ((88, 22), (112, 30)):
        draw.polygon([(x, top), (x - half, top + 52), (x + half, top + 52)], fill=tinted((58, 104, 96), light))
    _hill(draw, 158, 7, rng.uniform(0, 6), tinted((206, 222, 240), light))
    _hill(draw, 190, 6, rng.uniform(0, 6), tinted((234, 242, 250), light))


def _desert(image: Image.Image, draw: ImageDraw.ImageDraw, light: str, rng: random.Random) -> None:
    x = rng.choice((20, 236)) + rng.uniform(-8, 8)
    green = tinted((88, 140, 96), light)
    draw.rounded_rectangle((x - 8, 92, x + 8, 180), 8, fill=green)
    for dx, top, elbow in ((-26, 104, 140), (26, 90, 126)):
        draw.rounded_rectangle((x + dx - 6, top, x + dx + 6, elbow), 6, fill=green)
        draw.rounded_rectangle((min(x, x + dx) - 4, elbow - 12, max(x, x + dx) + 4, elbow), 6, fill=green)
    _hill(draw, 150, 14, rng.uniform(0, 6), tinted((222, 140, 86), light))
    _hill(draw, 190, 9, rng.uniform(0, 6), tinted((200, 112, 66), light))


def _wall(image: Image.Image, draw: ImageDraw.ImageDraw, light: str, rng: random.Random) -> None:
    draw.rectangle((0, 0, SIZE, SIZE), fill=tinted((206, 186, 170), light))
    for row in range(9):
        for col in range(-1, 5):
            x = col * 64 + (32 if row % 2 else 0)
            shade = rng.uniform(-10, 10)
            brick = tuple(c + shade for c in (166, 92, 74))
            draw.rectangle((x + 3, row * 32 + 3, x + 60, row * 32 + 28), fill=tinted(brick, light))


def _studio(image: Image.Image, draw: ImageDraw.ImageDraw, light: str, rng: random.Random) -> None:
    image.paste(Image.fromarray(gradient(tinted((206, 214, 206), light), tinted((160, 176, 170), light), SIZE)))
    glow = Image.new("L", (SIZE, SIZE), 0)
    x = 128 + rng.uniform(-40, 40)
    ImageDraw.Draw(glow).ellipse((x - 70, 30, x + 70, 170), fill=110)
    image.paste(tinted((250, 250, 240), light), mask=glow.filter(ImageFilter.GaussianBlur(30)))
    draw.rectangle((0, 206, SIZE, SIZE), fill=tinted((150, 120, 96), light))


_PAINTERS = {
    "meadow": _meadow, "beach": _beach, "snow": _snow, "desert": _desert, "wall": _wall, "studio": _studio,
}  # fmt: skip
