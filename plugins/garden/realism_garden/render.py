"""Draws scenes as 64 × 64 pictures in the style of a children's book, about a millisecond or two each."""

from __future__ import annotations

import math
import random
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from .backgrounds import SIZE, VARIANTS, background
from .companions import draw_companion
from .scene import Scene
from .species import Species

RGB = {
    "red": (212, 34, 46), "orange": (246, 132, 30), "yellow": (252, 212, 40), "white": (250, 248, 242),
    "pink": (246, 128, 178), "violet": (122, 58, 176), "blue": (44, 96, 222), "teal": (24, 172, 164),
    "gold": (250, 190, 30), "brown": (84, 46, 26), "cream": (246, 240, 214),
}  # fmt: skip
FLOWER_TINTS = {"day": (1.0, 1.0, 1.0), "dusk": (1.0, 0.92, 0.88), "night": (0.80, 0.82, 0.92)}
GREEN = (62, 132, 58)
# Centres (x, y) and radii of the heads in 256-pixel units, by (count, layout).
PLACES = {
    (1, "left"): [(86, 116, 76)], (1, "centre"): [(128, 116, 76)], (1, "right"): [(170, 116, 76)],
    (2, "centre"): [(72, 138, 56), (184, 124, 56)],
    (3, "centre"): [(48, 142, 45), (128, 110, 45), (208, 142, 45)],
}  # fmt: skip


def render(scene: Scene, seed: int) -> Image.Image:
    """The picture (RGB, 64 × 64) of a scene; the same scene and seed give the same picture."""
    rng = random.Random(seed)
    image = background(scene.background, scene.light, rng.randrange(VARIANTS)).copy()
    draw = ImageDraw.Draw(image)
    heads = [
        (x + rng.uniform(-8, 8), y + rng.uniform(-8, 8), r * rng.uniform(0.94, 1.04), rng.uniform(-0.2, 0.2))
        for x, y, r in PLACES[scene.count, scene.layout]
    ]
    tint = tuple(t * rng.uniform(0.97, 1.0) for t in FLOWER_TINTS[scene.light])
    for x, y, r, turn in heads:
        draw_stem(draw, x, y, r, turn, tint, scene.species.form)
    for x, y, r, turn in heads:
        draw_head(draw, scene.species, x, y, r, turn, tint)
    if scene.companion != "none":
        x = (34 if scene.side == "left" else 222) + rng.uniform(-5, 5)
        draw_companion(draw, scene.companion, x, 36 + rng.uniform(-6, 6))
    return image.reduce(SIZE // 64)


def shade(colour: tuple, amount: float, tint: tuple = (1.0, 1.0, 1.0)) -> tuple[int, ...]:
    """A colour made darker (amount below 0) or lighter (above 0), in -1 to 1, then tinted."""
    mixed = (c * (1 + amount) if amount < 0 else c + (255 - c) * amount for c in colour)
    return tuple(int(c * t) for c, t in zip(mixed, tint, strict=True))


def draw_stem(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, turn: float, tint: tuple, form: str) -> None:
    """The stem from a head at (x, y) to the ground, with two leaves; a bell hangs from a bow above it."""
    foot, dark, leaf = x - 30 * turn, shade(GREEN, -0.25, tint), shade(GREEN, 0.1, tint)
    if form == "bell":
        draw.arc((x, y - 1.1 * r, x + 0.9 * r, y + 0.6 * r), 180, 360, fill=dark, width=8)
        x, foot = x + 0.9 * r - 4, foot + 0.9 * r
        y = y - 0.3 * r
    draw.line((x, y, foot, SIZE), fill=dark, width=9)
    reach = 0.42 * r
    for side in (-1, 1):
        base, low = (x + foot * 2) / 3, SIZE - 14 - 6 * side
        tip = (base + side * reach * 1.5, low - reach * 0.8)
        bend = (base + side * reach * 0.5, low - reach * 0.9), (base + side * reach, low - reach * 0.05)
        draw.polygon([(base, low), bend[0], tip, bend[1]], fill=leaf, outline=dark, width=3)


def draw_head(
    draw: ImageDraw.ImageDraw, species: Species, x: float, y: float, r: float, turn: float, tint: tuple
) -> None:
    """A flower head of radius r at (x, y), turned by ``turn`` radians."""
    for layer, polygon in head_polygons(species.form, species.pattern):
        points = _place(polygon, x, y, r, turn)
        draw.polygon(points, fill=_ink(layer, species, tint))


def _ink(layer: str, species: Species, tint: tuple) -> tuple[int, ...]:
    main, second = RGB[species.main], RGB[species.second or species.main]
    centre = RGB[species.centre]
    return {
        "edge": shade(main, -0.42, tint), "main": shade(main, 0, tint), "light": shade(main, 0.22, tint),
        "deep": shade(main, -0.2, tint), "second": shade(second, 0, tint), "rim": shade(centre, -0.4, tint),
        "centre": shade(centre, 0, tint), "spark": shade(centre, 0.35, tint), "green": shade(GREEN, 0, tint),
    }[layer]  # fmt: skip


def _place(polygon: np.ndarray, x: float, y: float, r: float, turn: float) -> list[float]:
    cos, sin = r * math.cos(turn), r * math.sin(turn)
    matrix = np.array([[cos, sin], [-sin, cos]])
    return (polygon @ matrix + (x, y)).ravel().tolist()


# --- The shapes, in units of the head's radius; x to the right, y downwards. ---


def _profile(form: str) -> np.ndarray:
    """The upper half [n, 2] of a petal that lies along +x: distance from the centre, half width."""
    t = np.linspace(0.08, 1, 15)
    if form == "daisy":
        return np.stack([t, 0.155 * np.sqrt(np.clip(1 - ((t - 0.56) / 0.44) ** 4, 0, 1)) * (0.6 + 0.4 * t)], 1)
    if form == "round":
        return np.stack([t, 0.46 * np.sqrt(np.clip(1 - ((t - 0.54) / 0.46) ** 2, 0, 1))], 1)
    if form == "star":
        return np.stack([t, 0.25 * np.sin(math.pi * t**0.75)], 1)
    if form == "trillium":
        return np.stack([t, 0.50 * np.sin(math.pi * t**0.9) ** 0.9], 1)
    heart = [(0.05, 0), (0.2, 0.12), (0.4, 0.28), (0.6, 0.4), (0.75, 0.44), (0.88, 0.42), (0.96, 0.34), (1, 0.22)]
    return np.array([*heart, (0.96, 0.1), (0.8, 0)])


PETALS = {"daisy": 12, "round": 5, "star": 6, "heart": 4, "trillium": 3}


def _mirror(half: np.ndarray) -> np.ndarray:
    return np.concatenate([half, half[::-1] * (1, -1)])


def _turned(polygon: np.ndarray, angle: float) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    return polygon @ np.array([[c, s], [-s, c]])


def _disc(x: float, y: float, r: float, n: int = 20) -> np.ndarray:
    a = np.linspace(0, 2 * math.pi, n, endpoint=False)
    return np.stack([x + r * np.cos(a), y + r * np.sin(a)], 1)


@cache
def head_polygons(form: str, pattern: str) -> list[tuple[str, np.ndarray]]:
    """The polygons [n, 2] of a head from back to front, each with the name of its ink."""
    if form in PETALS:
        return _radial(form, pattern)
    return {"tulip": _tulip, "bell": _bell, "pompom": _pompom}[form](pattern)


def _radial(form: str, pattern: str) -> list[tuple[str, np.ndarray]]:
    n, half = PETALS[form], _profile(form)
    angles = [-math.pi / 2 + 2 * math.pi * k / n for k in range(n)]
    layers = []
    if form == "trillium":
        sepal = _mirror(_profile("star") * (0.95, 0.8))
        layers += [("green", _turned(sepal, a + math.pi / 3)) for a in angles]
    inner = half * (0.72, 0.5) + (0.16, 0)
    for k, a in enumerate(angles):

        def add(ink: str, half: np.ndarray, a: float = a) -> None:
            layers.append((ink, _turned(_mirror(half), a)))

        add("edge", half * (1.0, 1.0) + np.array([[0.0, 0.035]]) * (half[:, 1:] > 0))
        body = half * (0.965, 0.86)
        alternate = pattern == "stripes" and form == "daisy"  # its rays are too narrow for a stripe each
        add("second" if pattern == "tips" or (alternate and k % 2) else "main", body)
        if pattern == "tips":
            add("main", body[body[:, 0] < 0.66])
        elif pattern == "ring":
            add("light", inner)
            add("second", body[body[:, 0] < 0.6])
        elif pattern == "stripes" and not alternate:
            add("second", half * (0.8, 0.36) + (0.08, 0))
        elif pattern == "plain":
            add("light", inner)
    c = {"daisy": 0.33, "round": 0.24, "star": 0.22, "heart": 0.22, "trillium": 0.2}[form]
    return [
        *layers,
        ("rim", _disc(0, 0, c)),
        ("centre", _disc(0, 0, c * 0.84)),
        ("spark", _disc(-0.06, -0.06, c * 0.4)),
    ]


def _tulip(pattern: str) -> list[tuple[str, np.ndarray]]:
    right = [
        (0.0, 0.92),
        (0.38, 0.86),
        (0.66, 0.6),
        (0.78, 0.2),
        (0.76, -0.3),
        (0.66, -0.95),
        (0.44, -0.66),
        (0.3, -0.34),
    ]
    left = [(-x, y) for x, y in reversed(right)]
    front = np.array([*right, (0.0, -0.86), *left])
    outline = front * (1.06, 1.04) - (0, 0.01)
    back = np.array([(0.66, 0.0), (0.36, -0.98), (0.0, -0.5), (-0.36, -0.98), (-0.66, 0.0)])
    body = front * (0.94, 0.94)
    layers = [("rim", back * (1.08, 1.08)), ("centre", back), ("edge", outline)]
    layers.append(("main", body))
    if pattern == "tips":
        layers += [("second", _clip(body, below=-0.22))]
    elif pattern == "ring":
        layers += [("second", _clip(body, above=0.28))]
    elif pattern == "stripes":
        layers += [
            ("second", np.array([(x - 0.09, -0.3), (x + 0.09, -0.3), (x * 0.55 + 0.06, 0.78), (x * 0.55 - 0.06, 0.78)]))
            for x in (-0.48, 0.0, 0.48)
        ]
    else:
        layers += [("light", np.array([(0, -0.7), (0.24, -0.1), (0.16, 0.7), (-0.16, 0.7), (-0.24, -0.1)]))]
    return layers


def _bell(pattern: str) -> list[tuple[str, np.ndarray]]:
    right = [
        (0.0, -0.9),
        (0.3, -0.82),
        (0.5, -0.55),
        (0.58, -0.1),
        (0.72, 0.28),
        (0.98, 0.55),
        (0.66, 0.5),
        (0.5, 0.72),
        (0.25, 0.52),
    ]
    left = [(-x, y) for x, y in reversed(right)]
    front = np.array([*right, (0.0, 0.74), *left])
    body = front * (0.93, 0.93)
    layers = [
        ("rim", _disc(0, 0.76, 0.25)),
        ("centre", _disc(0, 0.76, 0.19)),
        ("edge", front * (1.05, 1.05)),
        ("main", body),
    ]
    if pattern == "tips":
        layers += [("second", _clip(body, above=0.2))]
    elif pattern == "ring":
        layers += [("second", _clip(body, below=-0.22))]
    elif pattern == "stripes":
        layers += [
            ("second", np.array([(x * 0.5 - 0.06, -0.7), (x * 0.5 + 0.06, -0.7), (x + 0.1, 0.46), (x - 0.1, 0.46)]))
            for x in (-0.5, 0.0, 0.5)
        ]
    else:
        layers += [("light", np.array([(-0.1, -0.7), (-0.28, -0.5), (-0.42, 0.3), (-0.2, 0.34)]))]
    return layers


def _pompom(pattern: str) -> list[tuple[str, np.ndarray]]:
    layers = []
    for ring, (n, at, r) in enumerate(((12, 0.76, 0.26), (9, 0.48, 0.23), (6, 0.22, 0.19))):
        for k in range(n):
            a = 2 * math.pi * (k + 0.5 * (ring % 2)) / n - math.pi / 2
            x, y = at * math.cos(a), at * math.sin(a)
            sector = int((a + math.pi / 2) / (math.pi / 3)) % 2 == 0
            second = (
                (pattern == "tips" and ring == 0)
                or (pattern == "ring" and ring == 2)
                or (pattern == "ring" and ring == 1)
                or (pattern == "stripes" and sector)
            )
            ink = "second" if second else ("deep", "main", "light")[ring]
            layers += [("edge", _disc(x, y, r, 12)), (ink, _disc(x, y, r * 0.8, 12))]
    return [*layers, ("rim", _disc(0, 0, 0.2)), ("centre", _disc(0, 0, 0.16))]


def _clip(polygon: np.ndarray, above: float | None = None, below: float | None = None) -> np.ndarray:
    """The part of a polygon with y above (greater than) or below (less than) a line, by Sutherland and Hodgman."""
    line, sign = (above, 1) if above is not None else (below, -1)
    kept = []
    for a, b in zip(polygon, np.roll(polygon, -1, 0), strict=True):
        inside_a, inside_b = sign * (a[1] - line) >= 0, sign * (b[1] - line) >= 0
        if inside_a:
            kept.append(a)
        if inside_a != inside_b:
            kept.append(a + (b - a) * (line - a[1]) / (b[1] - a[1]))
    return np.array(kept)
