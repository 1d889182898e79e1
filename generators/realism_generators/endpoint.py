"""Language models behind an endpoint."""

from __future__ import annotations

import base64
import io
import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from urllib.parse import urlsplit

from annotated_types import Ge, Gt, Le
from realism.base.errors import RealismError
from realism.parts import Chat, LanguageModel

from realism_generators.replies import kept_replies

if TYPE_CHECKING:
    from openai import OpenAI
    from PIL import Image

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,60}")
OWN = ("model", "messages", "seed", "temperature", "max_tokens", "stream", "n")
MOST_SAID = 200
"""Characters of a server's own words that an error repeats."""


@dataclass
class Endpoint(LanguageModel):
    """Any model behind an endpoint that speaks the protocol of OpenAI's chat completions, as vLLM, llama.cpp, Ollama
    and most vendors do. Needs the extra `endpoint`.

    Replies are kept by the whole chat and the options, so that nothing is paid for twice; whether a server itself gives
    the same reply to the same seed is its own matter.
    """

    speed_options: ClassVar[tuple[str, ...]] = ("key", "timeout", "attempts", "rate", "concurrency", "cache")

    url: str
    """Where it is, without /chat/completions: http://localhost:8000/v1, https://api.openai.com/v1."""
    model: str
    """What it calls the model."""
    sees: bool = False
    """Whether the model looks at images, which are sent with the chat."""
    key: str = ""
    """The name of the environment variable that holds the key, such as OPENAI_API_KEY; "" if it needs none."""
    max_tokens: Annotated[int, Ge(1), Le(100_000)] | None = 512
    """A longer reply is cut there; None leaves it to the endpoint."""
    temperature: Annotated[float, Ge(0)] | None = 0.0
    """0 asks for the likeliest reply, more for more varied ones; None leaves it to the endpoint."""
    seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0
    """Another seed asks for other replies."""
    more: dict[str, Any] = field(default_factory=dict)
    """Further fields of each request, such as {top_p: 0.9} or {max_completion_tokens: 512}."""
    timeout: Annotated[float, Gt(0), Le(86_400)] = 120.0
    """Seconds to wait for a reply before asking again."""
    attempts: Annotated[int, Ge(1), Le(100)] = 5
    """How often to ask, with longer and longer pauses, while the endpoint is busy, broken or away."""
    rate: Annotated[float, Gt(0), Le(10_000)] | None = None
    """At most so many requests a minute, repeated ones counted."""
    concurrency: Annotated[int, Ge(1), Le(1000)] = 8
    """How many requests at a time."""
    cache: bool = True
    """Whether to keep replies, and to take those that are kept."""

    def options_error(self) -> str | None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
            return "url is not one such as http://localhost:8000/v1, without name, password and query"
        if not find_spec("openai"):
            return "the package openai is not installed: pip install 'realism[endpoint]'"
        if own := sorted(set(self.more) & set(OWN)):
            return f"more: '{own[0]}' is not allowed there; allowed is any field but {', '.join(OWN)}"
        if self.key and not NAME.fullmatch(self.key):
            # Not repeated, as it may be the key itself.
            return "key is not the name of an environment variable, such as OPENAI_API_KEY; put the key into one"
        if self.key and not os.environ.get(self.key):
            return f"key: the environment variable '{self.key}' is not set; it should hold the key of {self.url}"
        return None

    def reply(self, chats: Sequence[Chat]) -> list[str]:
        """See `LanguageModel.reply`. Raises RealismError in one sentence when the endpoint refuses, or fails as often
        as `attempts` says."""
        if any(chat.images for chat in chats) and not self.sees:
            raise RealismError(
                f"model '{self.model}' at {self.url} reads text alone, but a chat has images; if it does read them, "
                "say 'sees: true'"
            )
        if not self.cache:
            return [reply for _, reply in sorted(self._answer(chats))]
        who = {name: getattr(self, name) for name in ("url", "model", "max_tokens", "temperature", "seed", "more")}
        return kept_replies(who, chats, self._answer)

    def release(self) -> None:
        if client := self.__dict__.pop("_client", None):
            client.close()

    def _answer(self, chats: Sequence[Chat]) -> Iterator[tuple[int, str]]:
        """The number of each chat with its reply, as they come. If one fails, those under way are waited for, so that
        no reply is lost, and the others are not asked."""
        failed: BaseException | None = None
        pool = ThreadPoolExecutor(self.concurrency)
        try:
            asked = {pool.submit(self._ask, chat): i for i, chat in enumerate(chats)}
            for future in as_completed(asked):
                if future.cancelled():
                    continue
                if error := future.exception():
                    failed = failed or error
                    pool.shutdown(wait=False, cancel_futures=True)
                else:
                    yield asked[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)
        if failed:
            raise failed

    def _ask(self, chat: Chat) -> str:
        import openai

        try:
            completion = self._client.chat.completions.create(
                model=self.model,
                messages=as_messages(chat),  # type: ignore[arg-type]
                seed=self.seed,
                extra_body=self.more,
                **{k: v for k in ("max_tokens", "temperature") if (v := getattr(self, k)) is not None},
            )
            return (completion.choices[0].message.content or "").strip()
        except openai.OpenAIError as error:
            raise RealismError(self._sentence(error)) from None  # its cause may hold the key
        except (AttributeError, IndexError, TypeError, ValueError):
            raise RealismError(f"{self.url} does not reply as OpenAI's chat completions do; check 'url'") from None

    @cached_property
    def _client(self) -> OpenAI:
        from openai import DefaultHttpxClient, OpenAI

        key = os.environ.get(self.key, "") if self.key else "none"
        pace = Pace(self.rate) if self.rate else None
        hooks = {"request": [lambda _: pace.wait()]} if pace else {}  # called for repeated requests too
        return OpenAI(
            base_url=self.url, api_key=key, timeout=self.timeout, max_retries=self.attempts - 1,
            http_client=DefaultHttpxClient(event_hooks=hooks),
        )  # fmt: skip

    def _sentence(self, error: Exception) -> str:
        """What went wrong, in one sentence without the key."""
        import openai

        often = f"{self.attempts} times" if self.attempts > 1 else "once"
        if isinstance(error, openai.APITimeoutError):
            return f"{self.url} gave no reply within {self.timeout:g} s, asked {often}; raise 'timeout'"
        if isinstance(error, openai.APIConnectionError):
            return f"{self.url} cannot be reached, tried {often}; check that it runs and that 'url' is right"
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            held = f"the key in the environment variable '{self.key}'" if self.key else "a request without 'key'"
            return f"{self.url} refuses {held}; give it a valid key"
        if isinstance(error, openai.RateLimitError):
            return f"{self.url} has too many requests, asked {often}; set or lower 'rate', or lower 'concurrency'"
        said = " ".join(str(getattr(error, "message", error)).split())
        secret = os.environ.get(self.key) if self.key else None
        said = (said.replace(secret, "(the key)") if secret else said)[:MOST_SAID]
        status = getattr(error, "status_code", None)
        tried = f", asked {often}" if status and status >= 500 else ""
        return f"{self.url} cannot answer for model '{self.model}'{tried}: {said}"


def as_messages(chat: Chat) -> list[dict[str, Any]]:
    """A chat as the protocol has it; images are sent whole, as PNG in data URLs, before the text."""
    images = [{"type": "image_url", "image_url": {"url": data_url(image)}} for image in chat.images]
    content = [*images, {"type": "text", "text": chat.text}] if images else chat.text
    task = [{"role": "system", "content": chat.system}] if chat.system else []
    return [*task, {"role": "user", "content": content}]


def data_url(image: Image.Image) -> str:
    """An image as PNG in a URL."""
    file = io.BytesIO()
    image.convert("RGB").save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


class Pace:
    """Lets callers through one by one, so many a minute, whatever thread they are in."""

    def __init__(self, per_minute: float):
        self._gap = 60 / per_minute
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Return when it is the caller's turn."""
        with self._lock:
            turn = max(time.monotonic(), self._next)
            self._next = turn + self._gap
        time.sleep(max(0.0, turn - time.monotonic()))
