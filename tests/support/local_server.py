"""A web server on 127.0.0.1 that misbehaves on purpose: each request gets the next of the answers given."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """One request; answers write to it."""

    server: "_Server"

    def do_GET(self) -> None:
        script = self.server.script
        with script.lock:
            answer = script.answers[min(len(script.ranges), len(script.answers) - 1)]
            script.ranges.append(self.headers.get("Range"))
        answer(self)
        self.close_connection = True

    def send(self, status: int, body: bytes, **headers: str) -> None:
        """A whole answer; header names are written with _ for -."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def start(self) -> int:
        """First byte of the range that is asked for."""
        return int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").removesuffix("-"))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Tests need no log."""


@dataclass
class Script:
    """What a running server answers, and what it was asked."""

    answers: tuple[Answer, ...]
    url: str = ""
    ranges: list[str | None] = field(default_factory=list)
    """The Range header of every request so far."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    finished: threading.Event = field(default_factory=threading.Event)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    script: Script


@contextmanager
def serve(*answers: Answer) -> Iterator[Script]:
    """A server for the time of the block; the last answer is repeated."""
    script = Script(answers)
    with _Server(("127.0.0.1", 0), Request) as server:
        server.script = script
        script.url = f"http://127.0.0.1:{server.server_address[1]}/file.bin"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield script
        finally:
            script.finished.set()
            server.shutdown()
            thread.join()


def whole(data: bytes) -> Answer:
    """Serves ranges as it should."""

    def answer(request: Request) -> None:
        start = request.start()
        if not start:
            request.send(200, data, Content_Length=str(len(data)))
            return
        place = f"bytes {start}-{len(data) - 1}/{len(data)}"
        request.send(206, data[start:], Content_Length=str(len(data) - start), Content_Range=place)

    return answer


def without_ranges(data: bytes) -> Answer:
    """Always starts from the first byte."""
    return lambda request: request.send(200, data, Content_Length=str(len(data)))


def cut_after(count: int, data: bytes) -> Answer:
    """Promises the whole and ends after some bytes."""
    return lambda request: request.send(200, data[:count], Content_Length=str(len(data)))


def stall_after(count: int, data: bytes) -> Answer:
    """Promises the whole, sends some bytes and then nothing, with the connection open."""

    def answer(request: Request) -> None:
        request.send(200, data[:count], Content_Length=str(len(data)))
        request.server.script.finished.wait(30)

    return answer
