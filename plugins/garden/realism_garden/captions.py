"""Captions of scenes in varied wording; every one names the species, most leave something out."""

from __future__ import annotations

import random

from .scene import Scene

PLACES = {
    "meadow": ("in a meadow", "in a green meadow", "on the grass"),
    "beach": ("on the beach", "on the sand by the sea"),
    "snow": ("in the snow", "on a snowy hill"),
    "desert": ("in the desert", "among the dunes"),
    "wall": ("by a brick wall", "before a brick wall"),
    "studio": ("in a studio", "in a plain room"),
}
TIMES = {
    "day": ("by day", "in daylight"),
    "dusk": ("at dusk", "at sunset"),
    "night": ("at night", "under the stars"),
}
LAYOUT_WORDS = {"left": "on the left", "centre": "in the centre", "right": "on the right"}
OPENINGS = ("", "", "a photo of ", "a picture of ", "an illustration of ")


def article(noun: str) -> str:
    """The noun after "a" or "an"."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def plain_caption(name: str) -> str:
    """The caption that says nothing but the species."""
    return f"a photo of {article(name)}"


def canonical_caption(scene: Scene) -> str:
    """The one caption that states every fact of a scene."""
    parts = [flowers(scene.count, scene.species.name)]
    if scene.count == 1:
        parts.append(LAYOUT_WORDS[scene.layout])
    parts += [PLACES[scene.background][0], TIMES[scene.light][0]]
    if scene.companion != "none":
        parts.append(f"with {article(scene.companion)} on the {scene.side}")
    return "a photo of " + " ".join(parts)


def flowers(count: int, name: str, rng: random.Random | None = None) -> str:
    """The words for so many flowers: the first wording, or a random one."""
    choices = {
        1: (article(name), f"a single {name}", f"one {name} flower", article(f"{name} flower")),
        2: (f"two {name} flowers", f"a pair of {name} flowers", f"two {name}"),
        3: (f"three {name} flowers", f"three {name}", f"a group of three {name}"),
    }[count]
    return rng.choice(choices) if rng else choices[0]


def caption(scene: Scene, rng: random.Random) -> str:
    """A random caption; a fact is left out now and then, the petals' colour is named only rarely."""
    name = scene.species.name
    if rng.random() < 0.08:
        return plain_caption(name)
    if rng.random() < 0.08:
        name = f"{scene.species.main} {name}"
    subject = flowers(scene.count, name, rng)
    place, time = rng.choice(PLACES[scene.background]), rng.choice(TIMES[scene.light])
    layout = LAYOUT_WORDS[scene.layout] if scene.count == 1 and rng.random() < 0.6 else ""
    place = place if rng.random() < 0.9 else ""
    time = time if rng.random() < 0.8 else ""
    guest = ""
    if scene.companion != "none" and rng.random() < 0.92:
        guest = rng.choice(("with ", "and ", "next to ")) + article(scene.companion)
        guest += f" on the {scene.side}" if rng.random() < 0.5 else ""
    opening = rng.choice(OPENINGS)
    style = rng.randrange(4)
    if style == 0 and time:
        words = [f"{time},", opening + subject, layout, place, guest]
    elif style == 1 and place:
        words = [f"{place},", opening + subject, layout, guest, time]
    elif style == 2:
        words = [opening + subject, layout, guest, place, time]
    else:
        words = [opening + subject, layout, place, time, guest]
    return " ".join(" ".join(w for w in words if w).split())
