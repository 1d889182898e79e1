"""Questions about pictures of the garden: those that a prompt's text raises, and those that any scene answers.

Facts have the names of Scene's fields and of the reader's heads: species, count, main (the petals' colour), layout,
background, light, companion; and side (of the companion).
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .captions import LAYOUT_WORDS, PLACES, TIMES, article, plain_caption
from .scene import BACKGROUNDS, COMPANIONS, LAYOUTS, LIGHTS, SIDES, Scene
from .species import COLOURS, NAMES

COUNTS = {"a single": 1, "a pair of": 2, "a group of three": 3, "an": 1, "a": 1, "one": 1, "two": 2, "three": 3}
NUMBERS = {1: "one flower", 2: "two flowers", 3: "three flowers"}
WINGS = tuple(c.split()[0] for c in COMPANIONS if c.endswith("butterfly"))
VALUES: dict[str, tuple] = {
    "species": NAMES, "count": tuple(NUMBERS), "main": COLOURS, "layout": LAYOUTS, "background": BACKGROUNDS,
    "light": LIGHTS, "companion": COMPANIONS[1:], "animal": ("bee", "ladybird", "butterfly"), "wings": WINGS,
    "side": SIDES,
}  # fmt: skip
# The first wording of each is the one that prompts' questions use; {x} is the value in words, {animal} the companion.
OPEN: dict[str, tuple[str, ...]] = {
    "species": ("what flower is this?", "what kind of flower is shown?", "which species of flower is in the picture?"),
    "count": ("how many flowers are there?", "how many flowers are in the picture?", "what is the number of flowers?"),
    "main": ("what color are the petals?", "what colour are the petals?", "what is the color of the flower?"),
    "layout": ("where in the picture is the flower?", "in which part of the picture is the flower?"),
    "background": ("what is in the background?", "what place is this?", "where was the picture taken?"),
    "light": ("what time of day is it?", "when was the picture taken?", "what is the light like?"),
    "animal": ("what animal is in the picture?", "what animal is next to the flower?", "which insect is there?"),
    "wings": ("what color is the butterfly?", "what colour are the wings of the butterfly?"),
    "side": ("on which side is the {animal}?", "on what side of the picture is the {animal}?"),
}
BINARY: dict[str, tuple[str, ...]] = {
    "species": ("is there {x}?", "is this {x}?", "is the flower {x}?", "does the picture show {x}?"),
    "count": ("{are} there {x}?", "does the picture show {x}?", "{are} {x} in the picture?"),
    "main": ("are the petals {x}?", "is the flower {x}?", "is the color of the petals {x}?"),
    "layout": ("is the flower {x}?", "is the flower {x} of the picture?"),
    "background": ("is the flower {x}?", "is this {x}?", "was the picture taken {x}?"),
    "light": ("is it {x}?", "is this {x}?"),
    "companion": ("is there {x}?", "is {x} in the picture?", "is {x} next to the flower?", "do you see {x}?"),
    "animal": ("is there {x}?", "is {x} in the picture?", "is {x} next to the flower?", "do you see {x}?"),
    "wings": ("is the butterfly {x}?", "are the wings of the butterfly {x}?"),
    "side": ("is the {animal} {x}?", "is the {animal} {x} of the picture?"),
}
# TIFA's types of what a question asks for.
TYPES = {
    "species": "object", "count": "counting", "main": "color", "layout": "spatial", "background": "location",
    "light": "attribute", "companion": "animal", "animal": "animal", "wings": "color", "side": "spatial",
}  # fmt: skip


def _any(values: Sequence[str]) -> str:
    return "|".join(values)


_SUBJECT = re.compile(
    rf"(?:\b(?P<count>{_any(tuple(COUNTS))}) )?(?:\b(?P<main>{_any(COLOURS)}) )?\b(?P<species>{_any(NAMES)})\b"
    rf"(?: flowers?)?(?: (?P<layout>{_any(tuple(LAYOUT_WORDS.values()))})\b)?"
)
_GUEST = re.compile(rf"\b(?P<companion>{_any(COMPANIONS[1:])})\b(?: on the (?P<side>{_any(SIDES)})\b)?")


def stated(text: str) -> dict[str, Any]:
    """The facts that a text in the garden's wording states, in the order of ``VALUES``; those it leaves out are absent.

    "a" states one flower, except in "a photo of a SPECIES" and no more, which the garden says of any number.
    """
    words = text.lower().strip()
    facts: dict[str, Any] = {}
    for found in (_SUBJECT.search(words), _GUEST.search(words)):
        facts |= {k: v for k, v in found.groupdict().items() if v} if found else {}
    if "count" in facts:
        facts["count"] = COUNTS[facts["count"]]
        if words == plain_caption(facts["species"]):
            del facts["count"]
    if "layout" in facts:
        facts["layout"] = next(k for k, v in LAYOUT_WORDS.items() if v == facts["layout"])
    for fact, wordings in (("background", PLACES), ("light", TIMES)):
        for value, phrases in wordings.items():
            if any(re.search(rf"\b{phrase}\b", words) for phrase in phrases):
                facts[fact] = value
    return {k: facts[k] for k in VALUES if k in facts}


def facts_of(scene: Scene) -> dict[str, Any]:
    """All facts of a scene, and two that follow: animal (the companion's kind) and wings (a butterfly's colour)."""
    return {**vars(scene), "species": scene.species.name, "main": scene.species.main} | _guest(scene.companion)


def tifa(text: str) -> list[dict]:
    """Multiple-choice questions about what a text states, as TIFA's files have them (Hu et al. 2023).

    The same text gives the same questions. Besides one question a fact, that flower, place and animal are there is
    asked with yes and no, the answer being yes.
    """
    facts = stated(text)
    rng = random.Random(f"tifa {text}")
    out = []
    for fact, value in _with_guest(facts).items():
        if fact in OPEN:
            others = [str(v) for v in VALUES[fact] if v != value]
            choices = [str(value), *rng.sample(others, min(3, len(others)))]
            rng.shuffle(choices)
            out.append(_row(facts, fact, value, OPEN[fact][0], choices, str(value)))
        if fact in ("species", "background", "companion"):
            out.append(_row(facts, fact, value, BINARY[fact][0], ["yes", "no"], "yes"))
    return out


def dsg(text: str) -> list[dict]:
    """Yes-no questions about what a text states, with ids and parents as in DSG (Cho et al. 2024); every answer is yes.

    The flower is a root, its number, colour and place in the picture depend on it; background, light and companion are
    roots, the companion's side depends on the companion.
    """
    facts = stated(text)
    ids = {fact: i for i, fact in enumerate(facts, 1)}
    above = {"count": "species", "main": "species", "layout": "species", "side": "companion"}
    out = []
    for fact, value in facts.items():
        parents = [ids[above[fact]]] if above.get(fact) in ids else []
        row = _row(facts, fact, value, BINARY[fact][0], ["yes", "no"], "yes")
        out.append({**row, "id": ids[fact], "parents": parents})
    return out


def asked(scene: Scene, rng: random.Random, n: int, named: bool = True) -> list[tuple[str, str, str]]:
    """n questions about any facts of a scene, as (kind, question, answer); half of the yes-no ones have the answer yes.

    A kind is a fact, with "?" where the answer is yes or no. What an absent animal looks like has the answer none.
    ``named`` is False for a flower of no named species; then its species is not asked for.
    """
    facts = facts_of(scene)
    kinds = [k for k in OPEN if k != "species"] + [f"{k}?" for k in BINARY if k != "species"]
    kinds = rng.sample(kinds, n - 3 if named else n) + (["species", "species?", "species?"] if named else [])
    return [(kind, *_ask(kind, facts, rng)) for kind in kinds]


def _ask(kind: str, facts: Mapping[str, Any], rng: random.Random) -> tuple[str, str]:
    """A question of a kind in any wording, and its answer."""
    fact, truth = kind.rstrip("?"), facts[kind.rstrip("?")]
    animal = facts["animal"] if facts["animal"] != "none" else rng.choice(VALUES["animal"])
    if kind in OPEN:
        return rng.choice(OPEN[kind]).format(animal=animal), str(truth)
    others = [v for v in VALUES[fact] if v != truth]
    value = truth if truth != "none" and rng.random() < 0.5 else rng.choice(others)
    question = _worded(rng.choice(BINARY[fact]), rng.choice(_phrases(fact, value)), value, animal)
    return question, "yes" if value == truth else "no"


def _worded(wording: str, phrase: str, value: Any, animal: str) -> str:
    return wording.format(x=phrase, animal=animal, are="is" if value == 1 else "are")


def _phrases(fact: str, value: Any) -> tuple[str, ...]:
    """A value in words that fit the yes-no questions, the usual ones first."""
    if fact in ("species", "companion", "animal"):
        return (article(value),)
    if fact == "side":
        return (f"on the {value}",)
    if fact == "light":
        return (value, *TIMES[value])
    if fact == "background":
        return PLACES[value]
    words: dict[str, Mapping] = {"count": NUMBERS, "layout": LAYOUT_WORDS}
    return (words.get(fact, {}).get(value, value),)


def _guest(companion: str) -> dict[str, str]:
    colour, _, kind = companion.rpartition(" ")
    return {"animal": kind, "wings": colour or "none"}


def _with_guest(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts, and after a companion its kind and, of a butterfly, its colour."""
    guest = {k: v for k, v in _guest(facts["companion"]).items() if v != "none"} if "companion" in facts else {}
    return {**facts, **guest}


def _row(facts: Mapping, fact: str, value: Any, question: str, choices: list[str], answer: str) -> dict:
    """A question in TIFA's names; the element is what the text says of the fact."""
    question = _worded(question, _phrases(fact, value)[0], value, _guest(facts.get("companion", ""))["animal"])
    return {
        "question": question, "choices": choices, "answer": answer, "element": str(value), "element_type": TYPES[fact],
    }  # fmt: skip
