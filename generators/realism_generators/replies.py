"""A cache of replies of language models on disk, so that no chat is answered twice."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from realism.base.duplicates import pixel_hash
from realism.base.errors import RealismError
from realism.base.files import digest
from realism.base.texts import plain_text
from realism.parts import Chat

FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""How a file of unknown kind is opened: no link is followed, and no pipe blocks."""
Answer = Callable[[list[Chat]], Iterable[tuple[int, str]]]
"""Chats -> the index of each with its reply, in any order, as the replies come."""


def cached_replies(settings: Mapping[str, Any], chats: Sequence[Chat], answer: Answer) -> list[str]:
    """The replies to chats, in order: those in the cache, and for the others the results of `answer`, which are added.

    settings: the model and all options that decide its replies, JSON-like; they and the whole chat are the key of a
    reply. Equal chats are answered once. Each reply is a file in $XDG_CACHE_HOME/realism/replies, written atomically. A
    damaged file there is written again. Replies must be plain texts (`plain_text`). Raises RealismError if the cache
    belongs to another user, and what `answer` raises.
    """
    folder = _folder()
    keys = [_key(settings, chat) for chat in chats]
    files = {key: folder / key[:2] / f"{key}.json" for key in keys}
    replies = {key: reply for key, file in files.items() if (reply := _load(file)) is not None}
    new = {key: chat for key, chat in zip(keys, chats, strict=True) if key not in replies}
    names = list(new)
    for i, reply in answer(list(new.values())) if new else ():
        _save(files[names[i]], reply)
        replies[names[i]] = reply
    return [replies[key] for key in keys]


def _key(settings: Mapping[str, Any], chat: Chat) -> str:
    images = [pixel_hash(image.convert("RGB")) for image in chat.images]
    return digest([dict(settings), chat.system, chat.text, images])


def _folder() -> Path:
    """The folder of the cache, which only this user can read and write. Raises RealismError if it belongs to another
    user, who could write any reply."""
    own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "realism"
    folder = own / "replies"
    folder.mkdir(parents=True, exist_ok=True)
    for place in (own, folder):
        if hasattr(os, "getuid") and place.stat().st_uid != os.getuid():
            raise RealismError(
                f"'{place}', where replies are cached, belongs to another user; set XDG_CACHE_HOME to a folder of yours"
            )
    folder.chmod(0o700)
    return folder


def _load(path: Path) -> str | None:
    """The reply in a file; None if there is none, or it is damaged."""
    try:
        with open(os.open(path, FLAGS), encoding="utf-8") as file:  # noqa: PTH123 - for the flags
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            reply = json.loads(file.read())["reply"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return reply if isinstance(reply, str) and reply == plain_text(reply) else None


def _save(path: Path, reply: str) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    # its own name, as several processes may write the same reply; not synced, as a damaged file is no loss
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".", delete=False) as file:
        json.dump({"reply": reply}, file)
    Path(file.name).replace(path)
