"""Replies of language models, kept on disk, so that no chat is answered twice."""

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

READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""How a file is opened that may be anything: no link is followed, and no pipe waited for."""
Answer = Callable[[list[Chat]], Iterable[tuple[int, str]]]
"""Chats -> the number of each among them with its reply, in any order, as the replies come."""


def kept_replies(who: Mapping[str, Any], chats: Sequence[Chat], answer: Answer) -> list[str]:
    """The replies to chats: those that are kept, and for the others what `answer` says, which is kept then.

    who: the model and all options that decide its replies, JSON-like; it and the whole chat are what a reply is kept
    by. Equal chats are answered once. Each reply is a file in $XDG_CACHE_HOME/realism/replies, there whole or not. What
    lies there and is no reply is written anew. Replies are to be plain texts (`plain_text`).
    """
    folder = _folder()
    keys = [_key(who, chat) for chat in chats]
    files = {key: folder / key[:2] / f"{key}.json" for key in keys}
    replies = {key: reply for key, file in files.items() if (reply := _load(file)) is not None}
    new = {key: chat for key, chat in zip(keys, chats, strict=True) if key not in replies}
    names = list(new)
    for i, reply in answer(list(new.values())) if new else ():
        _save(files[names[i]], reply)
        replies[names[i]] = reply
    return [replies[key] for key in keys]


def _key(who: Mapping[str, Any], chat: Chat) -> str:
    images = [pixel_hash(image.convert("RGB")) for image in chat.images]
    return digest([dict(who), chat.system, chat.text, images])


def _folder() -> Path:
    """Where replies are kept, which only this user can read and write. Raises RealismError if it is another user's, as
    replies there are whatever that user likes."""
    own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "realism"
    folder = own / "replies"
    folder.mkdir(parents=True, exist_ok=True)
    for place in (own, folder):
        if hasattr(os, "getuid") and place.stat().st_uid != os.getuid():
            raise RealismError(
                f"'{place}', where replies are kept, belongs to another user; set XDG_CACHE_HOME to a folder of yours"
            )
    folder.chmod(0o700)
    return folder


def _load(path: Path) -> str | None:
    """The reply in a file; None if there is none, or it is damaged."""
    try:
        with open(os.open(path, READ), encoding="utf-8") as file:  # noqa: PTH123 - for the flags
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            reply = json.loads(file.read())["reply"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return reply if isinstance(reply, str) and reply == plain_text(reply) else None


def _save(path: Path, reply: str) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    # A name of its own, as several processes may ask the same; not synced, as a file that is not whole is no loss.
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".", delete=False) as file:
        json.dump({"reply": reply}, file)
    Path(file.name).replace(path)
