"""A language model in the world of toys, which writes about coloured squares."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from realism import hook
from realism.parts import Chat, LanguageModel
from realism_dreamsync.formats import write_graph, write_prompts, write_questions
from realism_dreamsync.instructions import FILTER, PROMPTS, QUESTIONS
from toys import COLOURS

PLACES = ("meadow", "kitchen", "street", "cave", "castle", "harbour")


@dataclass
class ToyWriter(LanguageModel):
    """Writes "a COLOUR square in a PLACE", two questions about it, and that nothing can be answered about grey. When it
    is asked about blue things it must be asked twice."""

    stubborn: bool = False
    """Never says anything of use about blue things."""

    def reply(self, chats: Sequence[Chat]) -> list[str]:
        return [self._one(chat) for chat in chats]

    def _one(self, chat: Chat) -> str:
        rng = random.Random(chat.text)
        text = chat.text.split("Text: ")[-1]
        colour = next((c for c in COLOURS if c in text.splitlines()[0]), "")
        if colour == "blue" and (self.stubborn or "Attempt 2" not in text):
            return "I would rather not speak of blue."
        if chat.system == PROMPTS:
            some = (f"a {rng.choice(list(COLOURS))} square in a {rng.choice(PLACES)}" for _ in range(10))
            return "Here they are:\n" + write_prompts(list(some))
        if chat.system == FILTER:
            vague = colour == "grey" or "is there" in text
            return "Ambiguous answer, as grey is no colour." if vague else "answerable"
        asked = {"question": f"is the square {colour}?", "choices": ["yes", "no"], "answer": "yes", "element": colour}
        available = {**asked, "question": "is there a square?", "element": "square"}
        if chat.system == QUESTIONS:
            open = {**asked, "question": "which color is it?", "choices": list(COLOURS), "answer": colour}
            return write_questions([{**available, "element_type": "object"}, {**open, "element_type": "color"}])
        whole = {**available, "element_type": "entity - whole", "id": 1, "parents": []}
        return write_graph([whole, {**asked, "element_type": "attribute - color", "id": 2, "parents": [1]}])


@hook
def realism_register(registry):
    registry.language("toy_writer", "toys_dreamsync:ToyWriter")
