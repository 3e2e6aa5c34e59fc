"""Posts to addresses that clients have named, for an event loop: many at once, to receivers of any manner.

The connection goes to an address that was checked (reach.py), names are looked up in threads that nobody else
needs (names.py), no redirect is followed, no cookie kept. Of an answer only its status is of use: what comes
after MAX_ANSWER bytes is not read. A connection whose receiver behaves is used again.
"""

import asyncio
import re
import ssl
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from luxscaler.errors import FetchError, one_line
from luxscaler.web.connect import tls_context
from luxscaler.web.names import lookup
from luxscaler.web.reach import Reach
from luxscaler.web.url import Url

MAX_ANSWER = 8 * 1024
"""Bytes of an answer's head, and of its body."""
AT_ONCE = 32
"""Posts to one origin; a slow receiver holds up its own alone."""
IN_ALL = 256
"""Posts to all of them."""
_IDLE_SECONDS = 10.0
_MAX_ADDRESSES = 4
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r\n", re.IGNORECASE)
_OTHERWISE = re.compile(rb"\r\n(?:transfer-encoding:|connection:[ \t]*close)", re.IGNORECASE)


@dataclass
class _Connection:
    """One that is open."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    since: float = 0.0

    def close(self) -> None:
        """At once: nothing that is still on its way is of interest."""
        self.writer.transport.abort()


@dataclass
class _Origin:
    """What is kept for one scheme, host and port."""

    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    users: int = 0
    idle: list[_Connection] = field(default_factory=list)


class Poster:
    """Posts, within one event loop."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._origins: defaultdict[str, _Origin] = defaultdict(_Origin)
        self._turns = asyncio.Semaphore(IN_ALL)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> int:
        """The status of the answer.

        seconds: counted from its turn on. Raises FetchError: refused, unreachable, no HTTP, or too slow.
        """
        target = Url.parse(url)
        origin = self._origins[target.origin]
        origin.users += 1
        try:
            async with origin.turns, self._turns, asyncio.timeout(seconds):
                return await self._post(target, origin, _head(target, body, headers) + body)
        except TimeoutError as error:
            raise FetchError(f"{target.origin} did not answer within {seconds:g} s") from error
        except (OSError, ValueError, EOFError, asyncio.LimitOverrunError) as error:
            raise FetchError(f"{target.origin}: {_reason(error)}") from error
        finally:
            origin.users -= 1
            if not origin.users and not origin.idle:
                self._origins.pop(target.origin, None)

    def close(self) -> None:
        """Close the connections that are kept."""
        for origin in self._origins.values():
            while origin.idle:
                origin.idle.pop().close()

    def prune(self) -> None:
        """Close those that were kept for long."""
        oldest = time.monotonic() - _IDLE_SECONDS
        for name, origin in list(self._origins.items()):
            for old in [one for one in origin.idle if one.since < oldest]:
                origin.idle.remove(old)
                old.close()
            if not origin.users and not origin.idle:
                del self._origins[name]

    async def _post(self, target: Url, origin: _Origin, message: bytes) -> int:
        while origin.idle:
            kept = origin.idle.pop()
            if kept.reader.at_eof() or kept.since < time.monotonic() - _IDLE_SECONDS:
                kept.close()
                continue
            try:
                return await self._ask(kept, origin, message)
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                if getattr(error, "partial", b""):
                    raise
                break  # the receiver closed it a moment ago; a second delivery has the same id
        return await self._ask(await self._connected(target), origin, message)

    async def _ask(self, connection: _Connection, origin: _Origin, message: bytes) -> int:
        """Send, and read the status; the connection is kept if the answer has a small, known end."""
        good = False
        try:
            connection.writer.write(message)
            head = await connection.reader.readuntil(b"\r\n\r\n")
            while (status := _status(head)) < 200:
                head = await connection.reader.readuntil(b"\r\n\r\n")
            length = 0 if status in (204, 304) else _length(head)
            if length is not None and not _OTHERWISE.search(head):
                await connection.reader.readexactly(length)
                good = True
            return status
        finally:
            if good:
                connection.since = time.monotonic()
                origin.idle.append(connection)
            else:
                connection.close()

    async def _connected(self, target: Url) -> _Connection:
        refused: str | None = self._reach.misnamed(target.host)
        reason: Exception | None = None
        addresses = () if refused else await asyncio.wrap_future(lookup(target.host, target.port))
        for address in addresses[:_MAX_ADDRESSES]:
            if kind := self._reach.refusal(address, target.port, target.host):
                refused = kind
                continue
            secure = target.scheme == "https"
            try:
                reader, writer = await asyncio.open_connection(
                    address,
                    target.port,
                    limit=MAX_ANSWER,
                    ssl=tls_context() if secure else None,
                    server_hostname=target.host if secure else None,
                )
                return _Connection(reader, writer)
            except (OSError, ssl.SSLError) as error:
                reason = error
        if refused and reason is None:
            raise FetchError(f"{target.origin} leads to {refused}, to which nothing is sent")
        raise reason or OSError("it has no address")


def _head(target: Url, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [
        f"POST {target.target} HTTP/1.1",
        f"Host: {target.host_header}",
        "User-Agent: LuxScaler",
        "Accept: */*",
        "Accept-Encoding: identity",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if target.authorization:
        lines.append(f"Authorization: {target.authorization}")
    return "\r\n".join((*lines, "", "")).encode("ascii")


def _status(head: bytes) -> int:
    found = _STATUS.match(head)
    if not found:
        raise ValueError("its answer is no HTTP")
    return int(found[1])


def _length(head: bytes) -> int | None:
    """Of the body; None if it is not said, or more than is read."""
    found = _LENGTH.search(head)
    return int(found[1]) if found and int(found[1]) <= MAX_ANSWER else None


def _reason(error: BaseException) -> str:
    if isinstance(error, EOFError):
        return "the connection was closed without an answer"
    if isinstance(error, asyncio.LimitOverrunError):
        return f"its answer's head has more than {MAX_ANSWER} bytes"
    return one_line(getattr(error, "strerror", None) or str(error)) or type(error).__name__
