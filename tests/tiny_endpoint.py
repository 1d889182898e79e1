"""An endpoint of OpenAI's protocol on this machine, which replies with what can be told of a request."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class TinyServer(ThreadingHTTPServer):
    """Replies with a hash of the messages. First it sends `failing`: statuses, one a request, each with `said`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self.failing: list[int] = []
        self.said = "the server is having a bad day"
        self.delay = 0.0
        self.content: object = None
        """What a reply holds instead of the hash."""
        self.reason = "stop"
        self.pause = "0.001"
        """Seconds that it asks to wait for."""
        self.requests: list[dict] = []
        """What was asked: path, key, body, the time in seconds, headers."""
        self.open = self.most_open = 0
        """Requests under way now, and the most there were."""
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    server: TinyServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        seen = {"path": self.path, "key": self.headers["Authorization"], "body": body, "at": time.monotonic()}
        seen["headers"] = dict(self.headers)
        self.server.requests.append(seen)
        status = self.server.failing.pop(0) if self.server.failing else 200
        self._count(1)
        time.sleep(self.server.delay)
        self._count(-1)
        if status == 200:
            text = " " + blake2b(json.dumps(body["messages"]).encode(), digest_size=6).hexdigest() + "\n"
            said = {"role": "assistant", "content": self.server.content or text}
            self._send(200, {"id": "1", "choices": [{"message": said, "finish_reason": self.server.reason}]})
        else:
            self._send(status, {"error": {"message": self.server.said}})

    def _count(self, change: int) -> None:
        with self.server.lock:
            self.server.open += change
            self.server.most_open = max(self.server.most_open, self.server.open)

    def _send(self, status: int, what: dict) -> None:
        data = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Retry-After", self.server.pause)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def serve() -> TinyServer:
    """A server that runs until it is shut down, or this process ends."""
    server = TinyServer()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


@contextmanager
def serving() -> Iterator[TinyServer]:
    """A server for the length of a block."""
    server = serve()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class Hostile(socketserver.ThreadingTCPServer):
    """Takes requests and replies in bytes, as `behave` says."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, behave: Callable[[Hostile], Iterator[bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), HostileHandler)
        self.behave = behave
        self.origin = f"http://127.0.0.1:{self.server_address[1]}"
        self.asked: list[bytes] = []
        """What came first on each connection."""


class HostileHandler(socketserver.BaseRequestHandler):
    server: Hostile

    def handle(self) -> None:
        self.server.asked.append(self.request.recv(2**16))
        with suppress(OSError):
            for data in self.server.behave(self.server):
                self.request.sendall(data)


@contextmanager
def hostile(behave: Callable[[Hostile], Iterator[bytes]]) -> Iterator[Hostile]:
    """A server that behaves badly, for the length of a block."""
    server = Hostile(behave)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def replying(head: bytes, *blocks: bytes) -> Callable[[Hostile], Iterator[bytes]]:
    """What says one thing and ends."""
    return lambda _: iter((b"HTTP/1.1 " + head + b"\r\nConnection: close\r\n\r\n", *blocks))


def dripping(head: bytes, block: bytes, pause: float = 0.02) -> Callable[[Hostile], Iterator[bytes]]:
    """What says something again and again, and never ends."""

    def drip(_: Hostile) -> Iterator[bytes]:
        yield head
        while True:
            time.sleep(pause)
            yield block

    return drip
