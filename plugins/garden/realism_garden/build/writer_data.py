"""What the writer miniature learns from: the three tasks of DreamSync, asked in its own words, about garden captions.

The garden imports no other plugin: the package with the instructions is named when the build is run, and a ``Language``
holds what its modules instructions and formats define (questions_chat, write_questions, read_questions, ...).
"""

from __future__ import annotations

import importlib
import random
import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, TypeAlias

from realism.base.errors import RealismError

from ..captions import PLACES, TIMES, article, canonical_caption, caption
from ..questions import COUNTS, OPEN, TYPES, VALUES, dsg, stated, tifa
from ..scene import random_scene
from ..sets import split_of
from ..species import COLOURS, NAMES, SECONDS, SPECIES

Language: TypeAlias = SimpleNamespace
TASKS = ("prompts", "questions", "graph", "filter")
# What a prompt of a category states; prompts of the other categories state anything.
CATEGORIES = {
    "counting": ("count",), "color": ("main", "wings"), "spatial": ("layout", "side"), "animal/human": ("companion",),
    "location": ("background",), "attribute": ("light",),
}  # fmt: skip
KINDS = {
    "object": "entity - whole", "animal": "entity - whole", "counting": "other - count", "color": "attribute - color",
    "spatial": "relation - spatial", "location": "global", "attribute": "global",
}  # fmt: skip
VAGUE = {
    "count": ("some", "several", "a few", "many", "a lot of"),
    "background": ("somewhere outdoors", "in some place"),
    "light": ("at some hour", "at any time of day"),
}


def language_of(package: str) -> Language:
    """The instructions and formats of a package. Raises RealismError if it is not installed."""
    try:
        instructions, formats = (importlib.import_module(f"{package}.{name}") for name in ("instructions", "formats"))
    except ImportError as error:
        raise RealismError(
            f"the writer learns the instructions of {package}, which is not installed: {error}"
        ) from error
    return Language(**{**vars(formats), **vars(instructions)})


class Captions:
    """Captions of one split, and those of them that fit a category."""

    def __init__(self, split: str, seed: int, n: int):
        rng = random.Random(f"writer {split} {seed}")
        self.rng = rng
        self.texts: list[str] = []
        while len(self.texts) < n:
            text = caption(random_scene(rng, rng.choice(SPECIES)), rng)
            if split_of(text) == split:
                self.texts.append(text)
        novel = {s.name for s in SPECIES if s.novel}
        known = [t for t in dict.fromkeys(self.texts) if not novel & set(t.split())]
        self.known = {"": known} | {c: [t for t in known if fits(t, c)] for c in CATEGORIES}

    def chat(self, task: str, language: Language) -> tuple[Any, str]:
        """A chat of a task, and the right reply to it."""
        if task == "prompts":
            return self._prompts(language)
        text = self.rng.choice(self.texts)
        if task == "questions":
            shown = [self.rng.choice(self.texts)] if self.rng.random() < 0.15 else []
            chat = language.questions_chat(text, "tifa", [language.Demonstration(t, questions(t)) for t in shown])
            return chat, language.write_questions(questions(text))
        if task == "graph":
            return language.questions_chat(text, "dsg", []), language.write_graph(graph(text))
        text, question, case = self.judged(language.CASES)
        return language.filter_chat(text, question), case or language.ANSWERABLE

    def _prompts(self, language: Language) -> tuple[Any, str]:
        rng = self.rng
        category, count = rng.choice(language.CATEGORIES), rng.choice((5, 8, 10, 10))
        words, number = rng.randint(6, 25), rng.randint(1, 10 ** rng.randint(1, 3))
        examples = rng.sample(self.known[""], rng.choice((3, 5, 5, 5, 6)))
        pool = self.known.get(category, self.known[""])
        nearest = lambda: min(rng.sample(pool, 6), key=lambda t: abs(len(t.split()) - words))  # noqa: E731
        written = [p for p in dict.fromkeys(nearest() for _ in range(count + 4)) if p not in examples][:count]
        chat = language.prompts_chat(examples, category, len(written), words, number)
        return chat, language.write_prompts(written)

    def judged(self, cases: Sequence[str]) -> tuple[str, dict, str]:
        """A text, a question of it, and which of the three cases makes it unanswerable, or "": half are answerable.

        Texts of both halves are alike: half of the answerable questions are other ones about spoilt texts.
        """
        while True:
            text, case = self.rng.choice(self.texts), self.rng.randrange(3)
            made = (several, vague, invalid)[case](text, self.rng)
            if made and self.rng.random() < 0.5:
                return *made, cases[case]
            text = made[0] if made and self.rng.random() < 0.5 else text
            rows = questions(text) if self.rng.random() < 0.5 else tifa(text)
            fine = [q for q in [*rows, what(text, self.rng, 1)] if not made or q["question"] != made[1]["question"]]
            if fine:
                return text, self.rng.choice(fine), ""


def fits(text: str, category: str) -> bool:
    """Whether a text states what prompts of a category are about; of a number of flowers, two or three."""
    facts = stated(text)
    if category == "counting":
        return facts.get("count", 1) > 1
    return any(f in facts or (f == "wings" and "butterfly" in text) for f in CATEGORIES.get(category, ("species",)))


def questions(text: str) -> list[dict]:
    """The garden's questions of a text, with choices that follow from the answer: itself and the three values after it.

    Were they drawn at random, as ``tifa`` does, the likeliest reply would name the answer four times.
    """
    all_values = [[str(v) for v in values] for values in VALUES.values()]
    out = []
    for q in tifa(text):
        values = min((v for v in all_values if set(q["choices"]) <= set(v)), key=len, default=q["choices"])
        first = values.index(q["answer"])
        near = {values[(first + i) % len(values)] for i in range(4)}
        out.append({**q, "choices": [v for v in values if v in near]})
    return out


def graph(text: str) -> list[dict]:
    """The garden's yes-no questions of a text, with DSG's kinds of tuples."""
    return [{**row, "element_type": KINDS[row["element_type"]]} for row in dsg(text)]


def row(fact: str, question: str, choices: Sequence[str], answer: str) -> dict:
    return {
        "question": question, "choices": list(choices), "answer": answer, "element": answer,
        "element_type": TYPES[fact],
    }  # fmt: skip


def what(text: str, rng: random.Random, true: int) -> dict:
    """What is in the picture, of four choices, one or two of which are true if the text has a companion."""
    facts = stated(text)
    available = [facts[f] for f in ("species", "companion") if f in facts]
    right = rng.sample(available, min(true, len(available)))
    choices = [*right, *rng.sample([x for x in (*NAMES, *VALUES["companion"]) if x not in available], 4 - len(right))]
    rng.shuffle(choices)
    return row("species", "what is in the picture?", choices, right[0])


def several(text: str, rng: random.Random) -> tuple[str, dict] | None:
    """A text and a question of which two choices are true; None if this text does not lend itself to one."""
    facts = stated(text)
    name, guest = facts["species"], facts.get("companion", "")
    kind = rng.choice(("what", "animal", "main"))
    if kind != "main" and not guest:
        return None
    if kind == "what":
        return text, what(text, rng, 2)
    if kind == "main":
        first = facts.get("main") or rng.choice(COLOURS)
        both = [first, rng.choice(SECONDS[first])]
        text = articles(re.sub(rf"(\b{first} )?\b{name}\b", f"{both[0]} and {both[1]} {name}", text))
        values, question = COLOURS, OPEN["main"][0]
    else:
        animal = guest.split()[-1]
        values, question = VALUES["animal"], OPEN["animal"][0]
        both = [animal, rng.choice([a for a in values if a != animal])]
        text = re.sub(rf"\b{guest}\b( on the (left|right))?", f"{guest} and {article(both[1])}", text)
    others = [v for v in values if v not in both]
    choices = [*both, *rng.sample(others, min(rng.randint(0, 2), len(others)))]
    rng.shuffle(choices)
    return text, row(kind, question, choices, rng.choice(both))


def vague(text: str, rng: random.Random) -> tuple[str, dict] | None:
    """A text that says a fact vaguely, and the question of that fact; None if it says none of the three facts."""
    facts = stated(text)
    available = [f for f in VAGUE if f in facts]
    if not available:
        return None
    fact = rng.choice(available)
    wording = rng.choice(VAGUE[fact])
    if fact == "count":
        subject = rf"\b(?:{'|'.join(COUNTS)}) ((?:{'|'.join(COLOURS)}) )?{facts['species']}( flowers?)?"
        changed = re.sub(subject, rf"{wording} \g<1>{facts['species']} flowers", text, count=1)
    else:
        phrases = PLACES[facts[fact]] if fact == "background" else TIMES[facts[fact]]
        changed = re.sub("|".join(phrases), wording, text)
    question = next(q for q in tifa(text) if q["question"] == OPEN[fact][0])
    if rng.random() < 0.4:  # the answer is as vague as the text
        answer = wording if fact == "count" else "anywhere" if fact == "background" else "any time"
        question = row(fact, question["question"], [*question["choices"][:-1], answer], answer)
    return changed, question


def invalid(text: str, rng: random.Random) -> tuple[str, dict] | None:
    """A question of a text with the answer to another question, with a wrong answer, or of what the text leaves out."""
    rows = tifa(text)
    question, kind = rng.choice(rows), rng.randrange(3)
    if kind == 0:
        own = {q["question"] for q in rows}
        more = [q for q in tifa(canonical_caption(random_scene(rng, rng.choice(SPECIES)))) if q["question"] not in own]
        return (text, rng.choice(more)) if more else None
    if kind == 1:
        return text, {**question, "answer": rng.choice([c for c in question["choices"] if c != question["answer"]])}
    strange = [q["answer"] for q in rows if q["answer"] not in question["choices"]]
    if not strange or question["answer"] == "yes":
        return None
    answer = rng.choice(strange)
    return text, {**question, "answer": answer, "choices": [*question["choices"][1:], answer]}


def articles(text: str) -> str:
    """The text with "a" or "an" as the next word asks for."""
    return re.sub(r"\ban? (?=(\w))", lambda m: "an " if m[1] in "aeiou" else "a ", text)
