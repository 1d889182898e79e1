"""Asking a language model until its reply can be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from realism.parts import Chat, LanguageModel, checked

from realism_dreamsync.formats import Malformed
from realism_dreamsync.instructions import again

T = TypeVar("T")
MAX_KEPT = 300
"""Characters of a reply that are kept."""


@dataclass(frozen=True)
class Unread:
    """The last of several replies, none of which could be read, and why not."""

    reason: str
    reply: str

    def __str__(self) -> str:
        cut = self.reply[:MAX_KEPT] + "..." * (len(self.reply) > MAX_KEPT)
        return f"the reply cannot be read: {self.reason}; it was: {cut!r}"


def ask(writer: LanguageModel, chats: Sequence[Chat], read: Callable[[str], T], attempts: int) -> list[T | Unread]:
    """The result of `read` on the reply to each chat. Where it raises Malformed, the model gets the reason and is
    called again, at most so many times in all."""
    results: dict[int, T | Unread] = {}
    waiting = dict(enumerate(chats))
    for attempt in range(1, attempts + 1):
        replies = checked.reply(writer, list(waiting.values())) if waiting else []
        asked, waiting = waiting, {}
        for i, reply in zip(asked, replies, strict=True):
            try:
                results[i] = read(reply)
            except Malformed as reason:
                results[i] = Unread(str(reason), reply)
                waiting[i] = again(chats[i], attempt + 1, reason)
    return [results[i] for i in range(len(chats))]
