"""Language models behind an endpoint."""

from __future__ import annotations

import base64
import io
import json
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le
from realism.base.errors import RealismError
from realism.base.network import Server, ServerError
from realism.base.permissions import refusal
from realism.base.texts import plain_line, plain_text
from realism.parts import Chat, LanguageModel

from realism_generators.replies import cached_replies

if TYPE_CHECKING:
    from PIL import Image

RESERVED = ("model", "messages", "seed", "temperature", "max_tokens", "stream", "n")
MAX_BYTES = 4 * 2**20
"""The most bytes of an HTTP response."""
CUT = {
    "length": "are cut, as they reached the most tokens that are allowed; raise 'max_tokens'",
    "content_filter": "are cut or empty, as its content filter withheld the rest",
}
"""By the finish_reason of a reply that is cut: what it means, and what to do."""


@dataclass
class Endpoint(LanguageModel):
    """Any model behind an endpoint that speaks the protocol of OpenAI's chat completions, as vLLM, llama.cpp, Ollama
    and most vendors do.

    Replies are cached by the whole chat and the options, so that nothing is paid for twice; whether the server gives
    the same reply to the same seed depends on it. What is no text in a reply (control characters but tabs and line
    ends, lone surrogates) becomes U+FFFD. Redirects are not followed. A reply of more than 4 MiB ends the run.
    """

    speed_options: ClassVar[tuple[str, ...]] = ("key", "timeout", "attempts", "rate", "concurrency", "cache")

    url: str
    """Where it is, without /chat/completions: http://localhost:8000/v1, https://api.openai.com/v1. Without encryption
    it must be on this machine, or allowed on the command line: --allow http://10.0.0.5:8000."""
    model: str
    """What it calls the model."""
    accepts_images: bool = False
    """Whether the model reads images, which are sent with the chat."""
    key: str = ""
    """The environment variable that holds the key, "" if it needs none: REALISM_..._KEY, or a vendor's, such as
    OPENAI_API_KEY, for that vendor. Others are allowed on the command line: --allow LAB_KEY@https://llm.example.org."""
    max_tokens: Annotated[int, Ge(1), Le(100_000)] | None = 512
    """A longer reply is cut there; None leaves it to the endpoint."""
    temperature: Annotated[float, Ge(0)] | None = 0.0
    """0 requests the likeliest reply, more requests more varied ones; None leaves it to the endpoint."""
    seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0
    """Another seed requests other replies."""
    more: dict[str, Any] = field(default_factory=dict)
    """Further fields of each request, such as {top_p: 0.9} or {max_completion_tokens: 512}."""
    timeout: Annotated[float, Gt(0), Le(86_400)] = 120.0
    """Seconds to wait for a whole reply before the next attempt."""
    attempts: Annotated[int, Ge(1), Le(100)] = 5
    """Attempts while the endpoint is busy, fails or cannot be reached, with pauses from 0.5 s to 8 s, or as long as its
    Retry-After says, up to a minute."""
    rate: Annotated[float, Gt(0), Le(10_000)] | None = None
    """At most so many requests a minute, repeated ones counted."""
    concurrency: Annotated[int, Ge(1), Le(1000)] = 8
    """How many requests at a time."""
    cache: bool = True
    """Whether to cache replies on disk."""

    def options_error(self) -> str | None:
        if problem := refusal("url", self.url, self.key):
            return problem
        if not self.model or plain_line(self.model, len(self.model)) != self.model:
            return "model is no name: it is empty, or has line breaks or other characters that cannot be seen"
        reserved = sorted(str(name) for name in self.more if str(name).lower() in RESERVED)  # some servers ignore case
        if reserved:
            return f"more: '{reserved[0]}' is not allowed there; allowed is any field but {', '.join(RESERVED)}"
        try:
            json.dumps(self.more, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            return "more holds what JSON cannot: expected texts, finite numbers, true, false, null, lists and mappings"
        return None

    def reply(self, chats: Sequence[Chat]) -> list[str]:
        """See `LanguageModel.reply`. Raises RealismError in one sentence when the endpoint refuses, or fails as often
        as `attempts` says."""
        if any(chat.images for chat in chats) and not self.accepts_images:
            raise RealismError(
                f"model '{self.model}' at {self.url} reads text alone, but a chat has images; if it does read them, "
                "say 'accepts_images: true'"
            )
        if not self.cache:
            return [reply for _, reply in sorted(self._answer(chats))]
        settings = {name: getattr(self, name) for name in ("url", "model", "max_tokens", "temperature", "seed", "more")}
        return cached_replies(settings, chats, self._answer)

    def _answer(self, chats: Sequence[Chat]) -> Iterator[tuple[int, str]]:
        """The index of each chat with its reply, as they come. If one fails, requests under way are waited for, so that
        no reply is lost, and no further ones are sent."""
        failed: BaseException | None = None
        pool = ThreadPoolExecutor(self.concurrency)
        try:
            indices = {pool.submit(self._request, chat): i for i, chat in enumerate(chats)}
            waiting = set(indices)
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    if error := future.exception():
                        failed = failed or error
                        # `wait` never returns what was cancelled before it began
                        waiting = {other for other in waiting if not other.cancel()}
                    else:
                        yield indices[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)
        if failed:
            raise failed

    def _request(self, chat: Chat) -> str:
        fields = {"model": self.model, "messages": as_messages(chat), "seed": self.seed}
        fields |= {k: v for k in ("max_tokens", "temperature") if (v := getattr(self, k)) is not None}
        try:
            data = self._server.post({**self.more, **fields}, self._pace.wait)
        except ServerError as refused:
            raise RealismError(self._sentence(refused)) from None
        try:
            text, reason = read_completion(data)
        except ValueError:
            raise RealismError(f"{self.url} does not reply as OpenAI's chat completions do; check 'url'") from None
        self._warn_of(reason)
        return plain_text(self._server.without_key(text)).strip()

    @cached_property
    def _server(self) -> Server:
        address = self.url.rstrip("/") + "/chat/completions"
        return Server(address, "url", self.timeout, self.attempts, MAX_BYTES, self.key)

    @cached_property
    def _pace(self) -> RateLimit:
        return RateLimit(self.rate)

    def _sentence(self, refused: ServerError) -> str:
        """The sentence for the user on a request that the endpoint refused."""
        if refused.status in (401, 403):
            sent = f"the key in the environment variable '{self.key}'" if self.key else "a request without 'key'"
            return f"{self.url} refuses {sent}; give it a valid key"
        if refused.status == 429:
            attempts = f"{self.attempts} times" if self.attempts > 1 else "once"
            return f"{self.url} has too many requests, tried {attempts}; set or lower 'rate', or lower 'concurrency'"
        return f"model '{self.model}' cannot answer: {refused}"

    def _warn_of(self, reason: Any) -> None:
        """Warn once of each reason for which replies are cut."""
        sentence = CUT.get(reason) if isinstance(reason, str) else None
        if sentence and reason not in self._warned:
            self._warned.add(reason)
            logging.getLogger("realism").warning("some replies of %s %s", self.url, sentence)

    @cached_property
    def _warned(self) -> set[str]:
        return set()


def read_completion(data: bytes) -> tuple[str, Any]:
    """The text of a completion, "" if it has none, and why it ended there. Raises ValueError if it is no completion."""
    try:
        choice = json.loads(data)["choices"][0]
        text, reason = choice["message"]["content"], choice.get("finish_reason")
    except (AttributeError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise ValueError("no completion") from error
    if not isinstance(text, str | None):
        raise ValueError("the content is no text")
    return text or "", reason


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


class RateLimit:
    """A rate limit over all threads: so many calls a minute, evenly spaced; None is no limit."""

    def __init__(self, per_minute: float | None):
        self._gap = 60 / per_minute if per_minute else 0.0
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Return when it is the caller's turn."""
        with self._lock:
            turn = max(time.monotonic(), self._next)
            self._next = turn + self._gap
        time.sleep(max(0.0, turn - time.monotonic()))
