"""Limits of what clients may send: requests a minute, and bytes a request.

Bytes are counted as they arrive; a Content-Length is believed only when it is already too large.
"""

import math
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from luxscaler.gateway.problems import Problem, too_large

WINDOW_SECONDS = 60.0
_MAX_CLIENTS = 10_000
MULTIPART_BYTES = 1024 * 1024
"""Most bytes of a multipart body besides the file itself."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Verdict:
    """Whether a call is let through, and what the reply says about the next ones."""

    allowed: bool
    remaining: int
    reset_seconds: int
    """Until the oldest call that counts no longer counts."""

    def headers(self) -> dict[str, str]:
        """The reply's headers."""
        return {"ratelimit-remaining": str(self.remaining), "ratelimit-reset": str(self.reset_seconds)}


class RateLimit:
    """At most so many calls in any 60 seconds; calls that are refused do not count."""

    def __init__(self, calls: int) -> None:
        self._calls = calls
        self._times: deque[float] = deque()

    def ask(self, now: float) -> Verdict:
        """Count a call, or refuse it."""
        # One of the future was counted before the clock was set back; kept, it would let nothing through.
        while self._times and not now - WINDOW_SECONDS < self._times[0] <= now:
            self._times.popleft()
        allowed = len(self._times) < self._calls
        if allowed:
            self._times.append(now)
        first = self._times[0] if self._times else now
        reset = max(1, math.ceil(first + WINDOW_SECONDS - now))
        return Verdict(allowed, self._calls - len(self._times), reset)


class Throttle:
    """Counts by client, and forgets clients that are quiet."""

    def __init__(self, calls: int) -> None:
        self._calls = calls
        self._by_client: dict[str, RateLimit] = {}

    def ask(self, client: str, now: float) -> Verdict:
        """Count a call of that client, or refuse it."""
        if len(self._by_client) >= _MAX_CLIENTS and client not in self._by_client:
            self._by_client.pop(next(iter(self._by_client)))
        return self._by_client.setdefault(client, RateLimit(self._calls)).ask(now)


def throttled(verdict: Verdict) -> Problem:
    """The reply to a call that is refused."""
    seconds = verdict.reset_seconds
    return Problem(
        429,
        f"Request was throttled. Expected available in {seconds} second{'' if seconds == 1 else 's'}.",
        headers=verdict.headers(),
        retry_after=seconds,
    )


class LimitMiddleware:
    """ASGI: a body that grows too large ends its request with 413; replies get state.reply_headers."""

    def __init__(self, app: AsgiApp, limit_for: Callable[[str], int]) -> None:
        self._app, self._limit_for = app, limit_for

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting the bytes that the app reads."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit, taken, begun = self._limit_for(str(scope["path"])), 0, False
        scope.setdefault("state", {})

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise too_large(limit)
            return message

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            more = scope["state"].get("reply_headers")
            if more and message["type"] == "http.response.start":
                added = [(name.encode(), value.encode()) for name, value in more.items()]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        try:
            if {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}:
                # Two lengths: a proxy that goes by the other one takes the rest for a request of its own.
                raise Problem(400, "The request has both a Content-Length and a Transfer-Encoding")
            if _announced(scope) > limit:
                raise too_large(limit)
            await self._app(scope, counted, noted)
        except Problem as problem:
            if begun:
                raise
            response = problem.response()
            response.headers["Connection"] = "close"
            await response(scope, receive, send)


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0
