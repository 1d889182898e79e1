"""A language model that sees, in the world of toys: it knows the colour of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from realism import hook
from realism.parts import Chat, LanguageModel
from toys import COLOURS


@dataclass
class ToyEyes(LanguageModel):
    """Says whether the picture has the colour its text names, and which colour it lacks; of grey ones it says nothing
    that can be used."""

    accepts_images = True

    def reply(self, chats: Sequence[Chat]) -> list[str]:
        return [self._one(chat) for chat in chats]

    def _one(self, chat: Chat) -> str:
        wanted = next(name for name in COLOURS if name in chat.text)
        if not chat.images:
            return f"a {wanted} thing"
        mean = np.asarray(chat.images[0], np.float64).reshape(-1, 3).mean(0)
        seen = min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))
        if "yes or no" not in chat.text:
            return f"1. {wanted}\n- {wanted}\n"
        if wanted == "grey":
            return "Perhaps."
        return "Yes." if seen == wanted else "no, it does not"


@hook
def realism_register(registry):
    registry.language("toy_eyes", "toys_realrag:ToyEyes")
