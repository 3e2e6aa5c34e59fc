"""An ASGI layer that checks the Host and Origin of every request and sets the headers of every answer.

A hostile page may make a visitor's browser call 127.0.0.1. Its requests are recognised by their Host (a name
of the attacker's that leads here: DNS rebinding) or by their Origin, and are refused.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

from luxscaler.gateway.limits import AsgiApp, Message, Receive, Scope, Send
from luxscaler.gateway.problems import Problem

_READING = ("GET", "HEAD", "OPTIONS")
_OWN_NAMES = frozenset(("localhost", "127.0.0.1", "::1"))
_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_CHECKED = {name.encode(): name for name in ("host", "origin", "sec-fetch-site")}
_HEADERS_OF_CALLS = (*_HEADERS, (b"cache-control", b"no-store"))


class GuardMiddleware:
    """ASGI: Host allowlist, Origin check on changes, headers of answers."""

    def __init__(
        self, app: AsgiApp, allowed: frozenset[str], public: Callable[[str], str], own_path: str
    ) -> None:
        """allowed: names beside this machine's own. public: path to the one further name allowed there.
        own_path: where no browser is expected, so that no Origin is asked for."""
        self._app, self._names = app, allowed | _OWN_NAMES
        self._public, self._own_path = public, own_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer 403 or 421."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        kept = str(scope["path"]).startswith("/static/")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name.lower() for name, _ in message["headers"]}
                more = _HEADERS if kept else _HEADERS_OF_CALLS
                added = [pair for pair in more if pair[0] not in own]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        try:
            self._check(scope)
        except Problem as problem:
            await problem.response()(scope, receive, with_headers)
            return
        await self._app(scope, receive, with_headers)

    def _check(self, scope: Scope) -> None:
        path = str(scope["path"])
        headers = {
            name: value.decode("latin-1")
            for raw, value in scope["headers"]
            if (name := _CHECKED.get(raw.lower()))
        }
        host = headers.get("host", "")
        name = _name(host)
        if not name or (name not in self._names and name != self._public(path)):
            raise Problem(
                421, f"This console is not called {host[:100]!r} (--allow-host names further names)"
            )
        if scope["method"] in _READING or path == self._own_path:
            return
        origin = headers.get("origin")
        if origin is not None and _place(origin) != host:
            raise Problem(403, f"A page of {origin[:100]!r} may change nothing here")
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise Problem(403, "A page elsewhere may change nothing here")


def _place(origin: str) -> str:
    """Host and port of an Origin header; empty if it has none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _name(host: str) -> str:
    """The name in a Host header, without the port; empty if there is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
