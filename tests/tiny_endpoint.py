"""An endpoint of OpenAI's protocol on this machine, which replies with what can be told of a request."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Replies with a hash of the messages. First it sends `failing`: statuses, one a request, each with `said`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self.failing: list[int] = []
        self.said = "the server is having a bad day"
        self.delay = 0.0
        self.requests: list[dict] = []
        """What was asked: path, key, body and the time in seconds."""
        self.open = self.most_open = 0
        """Requests under way now, and the most there were."""
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        seen = {"path": self.path, "key": self.headers["Authorization"], "body": body, "at": time.monotonic()}
        self.server.requests.append(seen)
        status = self.server.failing.pop(0) if self.server.failing else 200
        self._count(1)
        time.sleep(self.server.delay)
        self._count(-1)
        if status == 200:
            text = " " + blake2b(json.dumps(body["messages"]).encode(), digest_size=6).hexdigest() + "\n"
            self._send(200, {"id": "1", "choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]})
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
        self.send_header("Retry-After-Ms", "1")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def serve() -> Server:
    """A server that runs until it is shut down, or this process ends."""
    server = Server()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


@contextmanager
def serving() -> Iterator[Server]:
    """A server for the length of a block."""
    server = serve()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
