"""Receives webhooks in tests: keeps each delivery whole, and answers as it is told."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

WAIT_SECONDS = 20.0


@dataclass(frozen=True)
class Received:
    """One delivery."""

    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    at: float

    def verified(self, secret: str) -> dict[str, Any]:
        """The body, if a library that is not ours accepts its signature."""
        return dict(Webhook(secret).verify(self.body, self.headers))


@dataclass
class Receiver:
    """A running receiver."""

    url: str = ""
    status: int = 200
    refusals: int = 0
    """So many deliveries are answered with 500 before `status` counts."""
    deliveries: list[Received] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, delivery: Received) -> int:
        """Keep one; the status to answer."""
        with self.lock:
            self.deliveries.append(delivery)
            self.refusals -= 1
            return 500 if self.refusals >= 0 else self.status

    def wait(self, count: int, seconds: float = WAIT_SECONDS) -> list[Received]:
        """The deliveries, once there are so many."""
        deadline = time.monotonic() + seconds
        while len(self.deliveries) < count:
            assert time.monotonic() < deadline, f"{len(self.deliveries)} of {count} webhooks came"
            time.sleep(0.005)
        return list(self.deliveries)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    receiver: Receiver


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status = self.server.receiver.take(Received(headers, body, time.monotonic()))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Tests need no log."""


@contextmanager
def webhook_receiver(**fields: Any) -> Iterator[Receiver]:
    """A receiver on 127.0.0.1 for the time of the block."""
    receiver = Receiver(**fields)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.receiver = receiver
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}/webhook"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
