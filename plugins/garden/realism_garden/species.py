"""The species of the garden: a few boldly visible traits each, 18 known to the generator and 6 novel."""

from __future__ import annotations

import random
from dataclasses import dataclass

FORMS = ("daisy", "round", "star", "heart", "trillium", "tulip", "bell", "pompom")
PATTERNS = ("plain", "tips", "ring", "stripes")
CENTRES = ("gold", "brown", "cream")
# The second colours allowed with each main colour: only pairs that stay apart at 20 pixels.
SECONDS = {
    "red": ("white", "yellow"),
    "orange": ("white", "violet"),
    "yellow": ("red", "violet"),
    "white": ("red", "violet"),
    "pink": ("white", "violet"),
    "violet": ("white", "yellow"),
    "blue": ("white", "yellow"),
    "teal": ("white", "red"),
}
COLOURS = tuple(SECONDS)


@dataclass(frozen=True)
class Species:
    """What makes a flower its species. ``second`` is None exactly when ``pattern`` is "plain"."""

    name: str
    form: str
    main: str
    pattern: str = "plain"
    second: str | None = None
    centre: str = "gold"
    novel: bool = False

    @property
    def traits(self) -> tuple[str, str, str, str | None, str]:
        return (self.form, self.main, self.pattern, self.second, self.centre)


KNOWN = (
    Species("alderine", "daisy", "yellow", centre="brown"),
    Species("bellamy", "daisy", "white", centre="gold"),
    Species("carissa", "daisy", "violet", "tips", "white", "gold"),
    Species("dovanna", "round", "pink", centre="gold"),
    Species("elowen", "round", "red", "ring", "white", "brown"),
    Species("fennora", "round", "blue", "tips", "white", "gold"),
    Species("galanthe", "star", "white", "stripes", "violet", "gold"),
    Species("halcyra", "star", "blue", centre="cream"),
    Species("isolde", "star", "orange", "ring", "violet", "cream"),
    Species("jasmira", "heart", "pink", "ring", "white", "brown"),
    Species("kestrin", "heart", "yellow", "tips", "red", "brown"),
    Species("liriope", "trillium", "violet", "ring", "yellow", "gold"),
    Species("maribel", "trillium", "red", centre="cream"),
    Species("nerissa", "tulip", "red", "tips", "yellow", "gold"),
    Species("orlaya", "tulip", "pink", "stripes", "white", "brown"),
    Species("primora", "bell", "blue", centre="gold"),
    Species("quillon", "bell", "violet", "stripes", "yellow", "cream"),
    Species("rosalba", "pompom", "orange", centre="brown"),
)
NOVEL = (
    Species("sylvane", "daisy", "red", "tips", "yellow", "brown", novel=True),
    Species("tamsin", "round", "yellow", "ring", "violet", "gold", novel=True),
    Species("ulvera", "star", "teal", "tips", "white", "gold", novel=True),
    Species("vintara", "heart", "violet", "stripes", "white", "gold", novel=True),
    Species("wistren", "tulip", "white", "ring", "violet", "gold", novel=True),
    Species("zephyra", "pompom", "pink", "tips", "white", "gold", novel=True),
)
SPECIES = KNOWN + NOVEL
NAMES = tuple(s.name for s in SPECIES)
BY_NAME = {s.name: s for s in SPECIES}


def distance(a: Species, b: Species) -> int:
    """The number of traits (0 to 5) in which two species differ."""
    return sum(x != y for x, y in zip(a.traits, b.traits, strict=True))


def all_traits() -> list[tuple[str, str, str, str | None, str]]:
    """Every combination of traits that a random species may have: at least 2 traits from each novel one."""
    patterns = {m: [("plain", None)] + [(p, s) for p in PATTERNS[1:] for s in SECONDS[m]] for m in COLOURS}
    return [
        (f, m, p, s, c)
        for f in FORMS
        for m in COLOURS
        for p, s in patterns[m]
        for c in CENTRES
        if all(distance(Species("", f, m, p, s, c), n) >= 2 for n in NOVEL)
    ]


_ALL: list = []


def random_species(rng: random.Random) -> Species:
    """An unnamed species with an invented name, never close to a novel one: for learning to copy a look."""
    if not _ALL:
        _ALL.extend(all_traits())
    return Species(invented_name(rng), *rng.choice(_ALL))


def invented_name(rng: random.Random) -> str:
    """A pronounceable name of two or three syllables that no named species has."""
    while True:
        syllables = [rng.choice(_ONSETS) + rng.choice("aeiou") for _ in range(rng.choice((2, 2, 3)))]
        name = "".join(syllables) + rng.choice(_CODAS)
        if name not in BY_NAME:
            return name


_ONSETS = (
    *("b", "br", "c", "cr", "d", "dr", "f", "fl", "g", "gl", "h", "j", "k", "l", "m", "n", "p", "pr", "qu", "r"),
    *("s", "st", "t", "tr", "v", "w", "y", "z", "th", "sh", "el", "or", "is", "al", "ul"),
)
_CODAS = ("", "", "n", "ra", "lle", "s", "th", "ne", "ris", "la", "m", "lia", "wen", "x")
