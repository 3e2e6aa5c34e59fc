"""A web server on 127.0.0.1 that answers each path with bytes of its own choice, at its own pace.

    with hostile_server(drip=drip(b"x"), big=endless()) as base:
        fetch(base + "drip", ...)

An answer is a function of a connected socket, whose request has been read; it ends when it returns, when its
peer has gone, or when the block ends.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Answer = Callable[["Connection"], None]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nConnection: close\r\n"


@dataclass
class Connection:
    """One request."""

    socket: socket.socket
    head: bytes
    """Of the request."""
    over: threading.Event

    def send(self, data: bytes) -> None:
        """All of it, unless the peer has gone."""
        self.socket.sendall(data)


@dataclass
class Hostile:
    """A running server."""

    base: str
    heads: list[bytes] = field(default_factory=list)
    """Of every request so far."""
    open: int = 0
    """Connections that are not over."""


@contextmanager
def hostile_server(**answers: Answer) -> Iterator[Hostile]:
    """A server for the time of the block; names are paths."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        server = Hostile(f"http://127.0.0.1:{listener.getsockname()[1]}/")

        def serve(connection: socket.socket) -> None:
            server.open += 1
            with connection, suppress(OSError):
                connection.settimeout(30)
                head = b""
                while b"\r\n\r\n" not in head and (piece := connection.recv(65536)):
                    head += piece
                server.heads.append(head)
                if head:  # else the client has gone without a word
                    path = head.split(b" ")[1].decode().partition("?")[0].strip("/")
                    answers[path.partition("/")[0]](Connection(connection, head, over))
            server.open -= 1

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield server
        finally:
            over.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # a close alone does not wake the thread that accepts


def whole(data: bytes, extra: bytes = b"") -> Answer:
    """A well-behaved answer; extra: more header lines."""
    head = HEAD + extra + f"Content-Length: {len(data)}\r\n\r\n".encode()
    return lambda connection: connection.send(head + data)


def raw(data: bytes) -> Answer:
    """These bytes, and no more."""
    return lambda connection: connection.send(data)


def redirect(location: str, status: int = 302) -> Answer:
    """Elsewhere."""
    return raw(f"HTTP/1.1 {status} Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())


def silent(start: bytes = b"") -> Answer:
    """Some bytes, then nothing, with the connection open."""

    def answer(connection: Connection) -> None:
        connection.send(start)
        connection.over.wait(30)

    return answer


def drip(
    start: bytes = HEAD + b"Content-Length: 90000\r\n\r\n", piece: bytes = b"x", pause: float = 0.05
) -> Answer:
    """A piece again and again."""

    def answer(connection: Connection) -> None:
        connection.send(start)
        while not connection.over.wait(pause):
            connection.send(piece)

    return answer


def endless(start: bytes = HEAD + b"\r\n", piece: bytes = bytes(1 << 16)) -> Answer:
    """A body without end, as fast as it is taken."""

    def answer(connection: Connection) -> None:
        connection.send(start)
        end = time.monotonic() + 30
        while not connection.over.is_set() and time.monotonic() < end:
            connection.send(piece)

    return answer
