"""What a network and an overloaded service do to calls, on purpose: ASGI middleware for tests.

    faults = Faults()
    with gateway_server(tmp_path, cog.url, middleware=faults.around) as gateway:
        faults.add(Throttle(retry_after=1), path="/v1/predictions", method="POST", times=3)
        faults.add(ServerError(503), path="/v1/predictions", after=True)   # done, and the reply lost
        faults.add(Reset())                          # the next call, whatever it is
        faults.add(SlowBody(seconds=2.0), path="/outputs/")
        faults.add(Truncate(keep=0.5), path="/outputs/", times=None)       # every one from now on
        faults.seen                                  # [("POST", "/v1/predictions"), ...]: all calls, in order
        faults.done                                  # how many faults have been injected

Faults are taken in the order in which they were added; the first that matches the call is used and counted
down. `after=True` lets the gateway do its work first and loses the reply: the case in which a client that
tries again pays twice. A path matches if the call's begins with it.

For the other direction, webhooks: `Duplicating` wraps the application that receives them, and calls it
several times for each delivery, in parallel.
"""

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from luxscaler.gateway.limits import AsgiApp, Message, Receive, Scope, Send

Finish = Callable[[], Awaitable[list[Message]]]
"""Has the application work; its reply's messages."""


class Fault(Protocol):
    """Something that goes wrong with a reply."""

    async def reply(self, messages: list[Message], send: Send) -> None:
        """Send what the client gets; messages are the application's, empty if it was not asked."""
        ...


@dataclass(frozen=True)
class Throttle:
    """429, with and without the seconds to wait."""

    retry_after: int | None = 1

    async def reply(self, messages: list[Message], send: Send) -> None:
        """As Replicate writes it."""
        body = {"title": "Too Many Requests", "detail": "Request was throttled.", "status": 429}
        if self.retry_after is not None:
            body["retry_after"] = self.retry_after
        await _send_json(send, 429, body)


@dataclass(frozen=True)
class ServerError:
    """A 5xx; the body is a proxy's page, not JSON."""

    status: int = 502

    async def reply(self, messages: list[Message], send: Send) -> None:
        """HTML."""
        await _send(send, self.status, b"<html><body>upstream is not well</body></html>", b"text/html")


@dataclass(frozen=True)
class Reset:
    """No reply: the connection ends."""

    async def reply(self, messages: list[Message], send: Send) -> None:
        """RST."""
        _hang_up(send, at_once=True)


@dataclass(frozen=True)
class SlowBody:
    """The reply comes in small pieces over some seconds."""

    seconds: float
    pieces: int = 10
    needs_reply: bool = True

    async def reply(self, messages: list[Message], send: Send) -> None:
        """The whole reply, late."""
        start, body = _joined(messages)
        await send(start)
        step = max(1, len(body) // self.pieces + 1)
        for place in range(0, max(len(body), 1), step):
            await asyncio.sleep(self.seconds / self.pieces)
            piece = body[place : place + step]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


@dataclass(frozen=True)
class Truncate:
    """The reply ends early: below its Content-Length, or, if `honest`, as if it were whole."""

    keep: float = 0.5
    honest: bool = False
    needs_reply: bool = True

    async def reply(self, messages: list[Message], send: Send) -> None:
        """The beginning."""
        start, body = _joined(messages)
        part = body[: int(len(body) * self.keep)]
        if self.honest:
            headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
            start = {**start, "headers": [*headers, (b"content-length", str(len(part)).encode())]}
        await send(start)
        await send({"type": "http.response.body", "body": part, "more_body": not self.honest})
        if not self.honest:
            _hang_up(send, at_once=False)


@dataclass
class _Planned:
    fault: Fault
    path: str
    method: str
    times: int | None
    after: bool


@dataclass
class Faults:
    """The faults still to come, and what was asked."""

    seen: list[tuple[str, str]] = field(default_factory=list)
    done: int = 0
    _planned: list[_Planned] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self, fault: Fault, *, path: str = "/", method: str = "", times: int | None = 1, after: bool = False
    ) -> None:
        """Plan a fault for the next calls that match; times=None: for all."""
        with self._lock:
            self._planned.append(_Planned(fault, path, method, times, after))

    def clear(self) -> None:
        """No more faults."""
        with self._lock:
            self._planned.clear()

    def around(self, app: AsgiApp) -> AsgiApp:
        """The application with these faults."""

        async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
            planned = self._take(scope) if scope["type"] == "http" else None
            if planned is None:
                await app(scope, receive, send)
                return
            messages: list[Message] = []
            if planned.after or getattr(planned.fault, "needs_reply", False):

                async def keep(message: Message) -> None:
                    messages.append(message)

                # A file is sent by its path where the server can; here its bytes are needed.
                extensions = {
                    name: value
                    for name, value in scope.get("extensions", {}).items()
                    if name != "http.response.pathsend"
                }
                await app({**scope, "extensions": extensions}, receive, keep)
            await planned.fault.reply(messages, send)

        return faulty

    def _take(self, scope: Scope) -> _Planned | None:
        path, method = str(scope["path"]), str(scope["method"])
        with self._lock:
            self.seen.append((method, path))
            for planned in self._planned:
                if path.startswith(planned.path) and planned.method in ("", method):
                    if planned.times is not None:
                        planned.times -= 1
                        if not planned.times:
                            self._planned.remove(planned)
                    self.done += 1
                    return planned
        return None


@dataclass(frozen=True)
class Duplicating:
    """A receiver of webhooks that gets each of them several times at once."""

    app: AsgiApp
    times: int = 2

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Only the first copy's reply goes back."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)

        async def again() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def drop(_message: Message) -> None:
            pass

        copies = (self.app({**scope}, again, drop) for _ in range(self.times - 1))
        await asyncio.gather(self.app(scope, again, send), *copies)


def _joined(messages: list[Message]) -> tuple[Message, bytes]:
    start = next(message for message in messages if message["type"] == "http.response.start")
    return start, b"".join(message.get("body", b"") for message in messages)


def _hang_up(send: Send, *, at_once: bool) -> None:
    """End the connection; ASGI has no word for it, so this asks uvicorn's own object behind `send`."""
    cycle: Any = send.__self__  # type: ignore[attr-defined]
    cycle.disconnected = True
    if at_once:
        linger = struct.pack("ii", 1, 0)  # RST instead of FIN
        cycle.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        cycle.transport.abort()
    else:
        cycle.transport.close()


async def _send_json(send: Send, status: int, body: dict[str, object]) -> None:
    await _send(send, status, json.dumps(body).encode(), b"application/problem+json")


async def _send(send: Send, status: int, body: bytes, kind: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
