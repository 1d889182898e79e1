"""Requests to a server, whoever runs it, with limits on the time and the size of its replies."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from realism.base.errors import RealismError
from realism.base.permissions import on_this_machine, origin, refusal
from realism.base.texts import plain_line

if TYPE_CHECKING:
    import ssl

    import httpx2

T = TypeVar("T")
BUSY = (408, 409, 425, 429)
"""Statuses of a server that may answer another time, beside all from 500 on."""
LONGEST_PAUSE = 8.0
LONGEST_ASKED_PAUSE = 60.0
"""Seconds between two attempts: the longest of our own, and the longest that a server may ask for."""
MAX_REFUSAL = 200
"""Characters of a server's own words that an error repeats."""


class ServerError(RealismError):
    """A server replied with an error: its HTTP status, and its message, in a line without the key."""

    def __init__(self, sentence: str, status: int, message: str):
        super().__init__(sentence)
        self.status, self.message = status, message


class _Again(Exception):
    """What may go better another time."""

    def __init__(self, error: RealismError, pause: float | None = None):
        self.error, self.pause = error, pause


@dataclass(frozen=True)
class Server:
    """Where to post JSON. Of the environment nothing is sent but the key; redirects are not followed."""

    address: str
    option: str
    """What the recipe calls the address."""
    timeout: float
    """Seconds for a whole exchange, from looking up the name to the last byte."""
    attempts: int
    """How often to ask, with pauses in between."""
    most: int
    """Bytes that a reply may have."""
    key: str = ""
    """The environment variable with the key, which goes into the header Authorization; "" for none."""

    def post(self, content: Any, before: Callable[[], None] = lambda: None) -> bytes:
        """What the server replies to JSON; `before` is called before each attempt. Not to be called where an event loop
        runs.

        Raises RealismError in one sentence without the key if the address is not allowed, or does not reply;
        ServerError if it replies with an error.
        """
        if problem := refusal(self.option, self.address, self.key):
            raise RealismError(problem)
        body = json.dumps(content).encode()
        for attempt in range(1, self.attempts + 1):
            before()
            try:
                return self._once(body)
            except _Again as trouble:
                if attempt == self.attempts:
                    raise trouble.error from None
                own = min(0.5 * 2 ** min(attempt - 1, 9), LONGEST_PAUSE)
                time.sleep(own if trouble.pause is None else trouble.pause)
        raise AssertionError("attempts is at least 1")

    def without_key(self, text: str) -> str:
        """A text of the server without the key."""
        secret = os.environ.get(self.key) if self.key else None
        return text.replace(secret, "(the key)") if secret else text

    def _once(self, body: bytes) -> bytes:
        """What is replied to one request. Raises _Again, or RealismError where another request would be in vain."""
        import httpx2

        often = f"{self.attempts} times" if self.attempts > 1 else "once"
        try:
            reply, data = _run(self._exchange(body))
        except TimeoutError:
            sentence = f"gave no whole reply within {self.timeout:g} s, asked {often}; raise 'timeout'"
            raise _Again(RealismError(f"{self.address} {sentence}")) from None
        except (httpx2.ConnectError, httpx2.ProxyError) as error:
            sentence = f"cannot be reached, tried {often}; check that it runs and that '{self.option}' is right"
            raise _Again(RealismError(f"{self.address} {sentence} ({plain_line(str(error), MAX_REFUSAL)})")) from None
        except (httpx2.HTTPError, OSError):
            sentence = f"broke off, or does not speak HTTP, tried {often}; check that '{self.option}' is right"
            raise _Again(RealismError(f"{self.address} {sentence}")) from None
        if len(data) > self.most:
            raise RealismError(
                f"{self.address} replies with more than {self.most / 2**20:g} MiB; check '{self.option}'"
            )
        if reply.headers.get("content-encoding", "identity") != "identity":
            raise RealismError(f"{self.address} replies in a compressed form, which was not asked for")
        if reply.is_success:
            return data
        refused = self._refused(reply.status_code, data, often)
        if reply.status_code in BUSY or reply.status_code >= 500:
            raise _Again(refused, _asked_pause(reply.headers.get("retry-after", "")))
        raise refused

    async def _exchange(self, body: bytes) -> tuple[httpx2.Response, bytes]:
        """The head of the reply and its bytes, of which none are unpacked; at most one block more than `most`."""
        import httpx2

        headers = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity"}
        if self.key:
            headers["Authorization"] = f"Bearer {os.environ[self.key]}"
        client = httpx2.AsyncClient(
            trust_env=False, proxy=_proxy(self.address), verify=_certificates(), timeout=None, follow_redirects=False
        )
        data = bytearray()
        async with (
            asyncio.timeout(self.timeout), client,
            client.stream("POST", self.address, content=body, headers=headers) as reply,
        ):  # fmt: skip
            async for block in reply.aiter_raw():
                data += block
                if len(data) > self.most:
                    break
        return reply, bytes(data)

    def _refused(self, status: int, data: bytes, often: str) -> ServerError:
        message = plain_line(self.without_key(_message(data)), MAX_REFUSAL)
        if 300 <= status < 400:
            elsewhere = f"{self.address} sends requests elsewhere ({status}), where they do not follow"
            return ServerError(f"{elsewhere}; give '{self.option}' the address itself", status, message)
        tried = f", asked {often}" if status in BUSY or status >= 500 else ""
        return ServerError(f"{self.address} answers {status}{tried}: {message}", status, message)


def _run(exchange: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run, which would wait for a name server that hangs beyond all deadlines."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(exchange)
    finally:
        loop.close()


def _message(data: bytes) -> str:
    """What a server says of an error: the message in JSON of OpenAI's form, else all of it."""
    try:
        return str(json.loads(data)["error"]["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return data.decode(errors="replace")


def _asked_pause(retry_after: str) -> float | None:
    """The seconds that a server asks for, if it does."""
    try:
        seconds = float(retry_after)
    except ValueError:  # nothing, or a date
        return None
    return min(seconds, LONGEST_ASKED_PAUSE) if seconds >= 0 else None


def _proxy(address: str) -> str | None:
    """The proxy of the environment for an address of https, of which it reads nothing; others are reached without.

    Raises RealismError if it is none of HTTP.
    """
    host = urlsplit(address).hostname or ""
    if not address.startswith("https:") or on_this_machine(origin(address) or "") or proxy_bypass(host):
        return None
    found = getproxies()
    proxy = found.get("https") or found.get("all")
    scheme, _, place = (proxy or "").partition("://")
    if proxy and not origin(f"{scheme}://{place.rpartition('@')[2]}"):
        raise RealismError("the proxy in the environment (HTTPS_PROXY, ALL_PROXY) is not one such as http://proxy:3128")
    return proxy


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Whom to trust: what the machine does, or SSL_CERT_FILE says."""
    import httpx2

    return httpx2.create_ssl_context()
