"""A scene of the garden: everything a picture shows, as plain data."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from typing import Any

from .species import BY_NAME, Species

BACKGROUNDS = ("meadow", "beach", "snow", "desert", "wall", "studio")
LIGHTS = ("day", "dusk", "night")
LAYOUTS = ("left", "centre", "right")
COMPANIONS = ("none", "bee", "ladybird", "blue butterfly", "red butterfly", "yellow butterfly")
SIDES = ("left", "right")


@dataclass(frozen=True)
class Scene:
    """One to three flowers of one species before a background, perhaps with a companion.

    ``layout`` is "centre" when ``count`` is above 1; a companion sits on the side that the flowers leave free.
    """

    species: Species
    count: int = 1
    layout: str = "centre"
    background: str = "meadow"
    light: str = "day"
    companion: str = "none"
    side: str = "left"

    def to_dict(self) -> dict:
        """The scene graph as JSON-ready data; ``from_dict`` is its inverse."""
        return asdict(self)

    @staticmethod
    def from_dict(data: dict) -> Scene:
        return Scene(**{**data, "species": Species(**data["species"])})


def random_scene(rng: random.Random, species: Species | str, **fixed: Any) -> Scene:
    """A scene of this species with every other field drawn at random, except those in ``fixed``."""
    count = rng.choice((1, 1, 2, 3))
    companion = "none" if rng.random() < 0.3 else rng.choice(COMPANIONS[1:])
    fields: dict[str, Any] = {
        "count": count,
        "layout": rng.choice(LAYOUTS),
        "background": rng.choice(BACKGROUNDS),
        "light": rng.choice(LIGHTS),
        "companion": companion,
        "side": rng.choice(SIDES),
    }
    fields.update(fixed)
    if fields["count"] > 1:
        fields["layout"] = "centre"
    if fields["layout"] != "centre":  # the companion needs the free side
        fields["side"] = "left" if fields["layout"] == "right" else "right"
    if fields["companion"] == "none":
        fields["side"] = "left"
    return Scene(species=BY_NAME[species] if isinstance(species, str) else species, **fields)
