"""Replies of language models, kept on disk, so that no chat is answered twice."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from realism.base.duplicates import pixel_hash
from realism.base.files import digest
from realism.parts import Chat

Answer = Callable[[list[Chat]], Iterable[tuple[int, str]]]
"""Chats -> the number of each among them with its reply, in any order, as the replies come."""


def kept_replies(who: Mapping[str, Any], chats: Sequence[Chat], answer: Answer) -> list[str]:
    """The replies to chats: those that are kept, and for the others what `answer` says, which is kept then.

    who: the model and all options that decide its replies, JSON-like; it and the whole chat are what a reply is kept
    by. Equal chats are answered once. Each reply is a file in $XDG_CACHE_HOME/realism/replies, there whole or not.
    """
    keys = [_key(who, chat) for chat in chats]
    replies = {key: reply for key in dict.fromkeys(keys) if (reply := _load(key)) is not None}
    new = {key: chat for key, chat in zip(keys, chats, strict=True) if key not in replies}
    names = list(new)
    for i, reply in answer(list(new.values())) if new else ():
        _save(names[i], reply)
        replies[names[i]] = reply
    return [replies[key] for key in keys]


def _key(who: Mapping[str, Any], chat: Chat) -> str:
    images = [pixel_hash(image.convert("RGB")) for image in chat.images]
    return digest([dict(who), chat.system, chat.text, images])


def _file(key: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "realism" / "replies" / key[:2] / f"{key}.json"


def _load(key: str) -> str | None:
    try:
        reply = json.loads(_file(key).read_text(encoding="utf-8"))["reply"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return reply if isinstance(reply, str) else None


def _save(key: str, reply: str) -> None:
    path = _file(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own, as several processes may ask the same; not synced, as a file that is not whole is no loss.
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".", delete=False) as file:
        json.dump({"reply": reply}, file)
    Path(file.name).replace(path)
