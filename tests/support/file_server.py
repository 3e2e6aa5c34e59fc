"""A web server on 127.0.0.1 with files in memory: gives what it holds, keeps what is put there."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Files:
    """What the server holds, by name; tests add to it while it runs."""

    base: str
    held: dict[str, bytes] = field(default_factory=dict)

    def add(self, name: str, data: bytes) -> str:
        """The URL under which `data` can be had from now on."""
        self.held[name] = data
        return self.base + name


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    files: Files


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        data = self.server.files.held.get(self.path.removeprefix("/"))
        self._answer(404 if data is None else 200, data or b"")

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.files.add(self.path.removeprefix("/"), data)
        self._answer(200, b"")

    def _answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Tests need no log."""


@contextmanager
def file_server() -> Iterator[Files]:
    """A server for the time of the block."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.files = Files(f"http://127.0.0.1:{server.server_address[1]}/")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.files
        finally:
            server.shutdown()
            thread.join()
