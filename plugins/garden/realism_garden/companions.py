"""The small animals that keep the flowers company."""

from __future__ import annotations

from PIL import ImageDraw

WINGS = {"blue": (60, 120, 240), "red": (222, 44, 50), "yellow": (252, 220, 50)}
INK = (34, 26, 30)


def draw_companion(draw: ImageDraw.ImageDraw, kind: str, x: float, y: float) -> None:
    """Draws a companion about 60 pixels wide (15 in the finished picture) around (x, y)."""
    if kind == "bee":
        _bee(draw, x, y)
    elif kind == "ladybird":
        _ladybird(draw, x, y)
    else:
        _butterfly(draw, WINGS[kind.split()[0]], x, y)


def _oval(draw: ImageDraw.ImageDraw, x: float, y: float, a: float, b: float, fill: tuple, line: int = 3) -> None:
    draw.ellipse((x - a, y - b, x + a, y + b), fill=fill, outline=INK if line else None, width=line)


def _bee(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
    _oval(draw, x - 5, y - 18, 11, 15, (226, 240, 250))
    _oval(draw, x + 13, y - 17, 10, 14, (226, 240, 250))
    _oval(draw, x, y, 28, 17, (250, 196, 30))
    for dx, h in ((-13, 14), (1, 16), (14, 13)):
        draw.rectangle((x + dx - 4, y - h, x + dx + 3, y + h), fill=INK)
    _oval(draw, x - 26, y - 1, 10, 10, INK)


def _ladybird(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
    _oval(draw, x, y - 19, 13, 11, INK)
    _oval(draw, x, y + 2, 25, 23, (226, 30, 34))
    draw.line((x, y - 18, x, y + 24), fill=INK, width=5)
    for dx, dy in ((-13, -5), (13, -5), (-12, 11), (12, 11)):
        _oval(draw, x + dx, y + dy, 5.5, 5.5, INK, 0)


def _butterfly(draw: ImageDraw.ImageDraw, colour: tuple, x: float, y: float) -> None:
    upper = ((0, 0), (12, -24), (31, -26), (30, -4), (12, 3))
    lower = ((0, 0), (24, 2), (25, 20), (12, 25))
    for side in (-1, 1):
        for wing in (upper, lower):
            draw.polygon([(x + side * dx, y + dy) for dx, dy in wing], fill=colour, outline=INK, width=4)
        _oval(draw, x + side * 20, y - 15, 5, 5, (250, 250, 250), 0)
    draw.line((x, y - 16, x, y + 18), fill=INK, width=8)
