"""Fetches what a URL names that somebody else has given: within limits of place, time and size.

    fetch(url, file.write, reach=..., limits=..., check=...)

Every hop of a redirect is checked (connect.py). `check` is called at least every tenth of a second and ends
the work by raising. Cookies are not kept, proxies of the environment not used, compressed answers not asked
for.
"""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from luxscaler.errors import FetchError, one_line
from luxscaler.web.connect import connected, reason_of
from luxscaler.web.reach import PUBLIC, Reach
from luxscaler.web.url import Url

_CHUNK = 1 << 18
_HEAD_BYTES = 1 << 20
"""For headers, chunk sizes and trailers beside the body."""
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class FetchLimits:
    """How much and how long. Raises FetchError where it is exceeded."""

    bytes: int = 200 * 2**20
    connect_seconds: float = 5.0
    """For the name and the connection of one hop."""
    seconds: float = 60.0
    """For all of it."""
    slow_seconds: float = 5.0
    """After so long without `slow_bytes` more, the transfer is given up as too slow."""
    slow_bytes: int = 128 * 1024
    redirects: int = 5


@dataclass(frozen=True)
class Fetched:
    """What came."""

    size: int
    """Bytes."""
    content_type: str


def _go_on() -> None:
    pass


def _begin(_start: int, _content_type: str) -> None:
    pass


def fetch(
    url: str,
    write: Callable[[bytes], Any],
    *,
    limits: FetchLimits = FetchLimits(),
    reach: Reach = PUBLIC,
    check: Callable[[], None] = _go_on,
    start: int = 0,
    begin: Callable[[int, str], None] = _begin,
) -> Fetched:
    """Hand the body to `write` piece by piece. Raises FetchError, and what the functions given raise.

    start: bytes that are here from an earlier time. begin: called before the first piece with the place where
    it belongs, `start` or, of a server that gives only all of it, 0; and with the type.
    """
    deadline = time.monotonic() + limits.seconds
    hop = Url.parse(url)
    for _ in range(limits.redirects + 1):
        target = _Hop(hop, limits, reach, check, deadline, start, begin).run(write)
        if isinstance(target, Fetched):
            return target
        if hop.scheme == "https" and target.scheme != "https":
            raise FetchError(f"{hop.shown} redirects from https to http, which is not followed")
        hop = target
    raise FetchError(f"{hop.shown}: redirected more than {limits.redirects} times")


class _Hop:
    """One request and its answer."""

    def __init__(
        self,
        url: Url,
        limits: FetchLimits,
        reach: Reach,
        check: Callable[[], None],
        deadline: float,
        start: int,
        begin: Callable[[int, str], None],
    ) -> None:
        self._url, self._limits, self._reach = url, limits, reach
        self._check, self._deadline = check, deadline
        self._start, self._begin = start, begin

    def run(self, write: Callable[[bytes], Any]) -> Fetched | Url:
        """The body is written, or where a redirect leads."""
        deadline = min(self._deadline, time.monotonic() + self._limits.connect_seconds)
        connection = connected(self._url, self._reach, deadline, self._check)
        try:
            connection.sendall(_request(self._url, self._start))
            stream = _Stream(connection, self._limits, self._check, self._deadline, self._url.shown)
            answer = http.client.HTTPResponse(_AsSocket(stream), method="GET")  # type: ignore[arg-type]
            answer.begin()
            if answer.status in _REDIRECTS and (location := answer.getheader("location")):
                return self._joined(location)
            return self._body(answer, write)
        except (http.client.HTTPException, OSError) as error:
            raise FetchError(f"{self._url.shown}: {_reason(error)}") from error
        finally:
            connection.close()

    def _joined(self, location: str) -> Url:
        try:
            return self._url.joined(location)
        except FetchError as error:
            raise FetchError(f"{self._url.shown} redirects elsewhere: {error}") from error

    def _body(self, answer: http.client.HTTPResponse, write: Callable[[bytes], Any]) -> Fetched:
        start = self._place(answer)
        shown, most = self._url.shown, self._limits.bytes - start
        if start == 0 and answer.status != http.HTTPStatus.OK:
            reason = one_line(answer.reason)[:40]
            raise FetchError(f"{shown}: HTTP {answer.status} {reason}".rstrip(), answer.status)
        coding = one_line(answer.getheader("content-encoding", "identity"))[:40]
        if coding.lower() != "identity":
            raise FetchError(f"{shown}: the answer is compressed ({coding}), which was not asked for")
        whole = answer.length
        if whole is not None and whole > most:
            raise FetchError(f"{shown}: it has {whole:,} bytes, the limit is {most:,}")
        content_type = answer.getheader("content-type", "")
        self._begin(start, content_type)
        size = 0
        while size != whole and (piece := answer.read1(_CHUNK)):
            size += len(piece)
            if size > most:
                raise FetchError(f"{shown}: it has more than {most:,} bytes, which is the limit")
            write(piece)
        if whole is not None and size < whole:
            raise FetchError(f"{shown}: it ended after {start + size:,} of {start + whole:,} bytes")
        return Fetched(start + size, content_type)

    def _place(self, answer: http.client.HTTPResponse) -> int:
        """Where in the file the body begins: the server may give only the rest, or all of it once more."""
        if not self._start or answer.status != http.HTTPStatus.PARTIAL_CONTENT:
            return 0
        if not answer.getheader("content-range", "").startswith(f"bytes {self._start}-"):
            reason = "it goes on at another place than was asked for"
            raise FetchError(f"{self._url.shown}: {reason}", http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        return self._start


class _Stream(io.RawIOBase):
    """The bytes of an answer; whoever reads them waits no longer than the limits say."""

    def __init__(
        self,
        connection: socket.socket,
        limits: FetchLimits,
        check: Callable[[], None],
        deadline: float,
        shown: str,
    ) -> None:
        self._connection, self._limits, self._check = connection, limits, check
        self._deadline, self._shown = deadline, shown
        self._received = 0
        self._window_ends, self._window_bytes = time.monotonic() + limits.slow_seconds, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes; 0 at the end."""
        while True:
            self._check()
            self._keep_limits()
            with suppress(TimeoutError, ssl.SSLWantReadError, BlockingIOError):
                count = self._connection.recv_into(buffer)
                self._received += count
                self._window_bytes += count
                return count

    def _keep_limits(self) -> None:
        now, limits = time.monotonic(), self._limits
        if now > self._deadline:
            raise FetchError(f"{self._shown}: it took longer than {limits.seconds:g} s")
        if self._received > limits.bytes + limits.bytes // 8 + _HEAD_BYTES:
            raise FetchError(f"{self._shown}: it has more than {limits.bytes:,} bytes, which is the limit")
        if now < self._window_ends:
            return
        if self._window_bytes < limits.slow_bytes:
            raise FetchError(
                f"{self._shown}: it is too slow: {self._window_bytes:,} bytes in {limits.slow_seconds:g} s, "
                f"{limits.slow_bytes:,} is the least"
            )
        self._window_ends, self._window_bytes = now + limits.slow_seconds, 0


class _AsSocket:
    """What http.client asks of a socket."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream

    def makefile(self, _mode: str) -> io.BufferedReader:
        """The stream, buffered."""
        return io.BufferedReader(self._stream, _CHUNK)


def _request(url: Url, start: int) -> bytes:
    lines = [
        f"GET {url.target} HTTP/1.1",
        f"Host: {url.host_header}",
        "User-Agent: LuxScaler",
        "Accept: */*",
        "Accept-Encoding: identity",
        "Connection: close",
    ]
    if start:
        lines.append(f"Range: bytes={start}-")
    if url.authorization:
        lines.append(f"Authorization: {url.authorization}")
    return "\r\n".join((*lines, "", "")).encode("ascii")


def _reason(error: BaseException) -> str:
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection was closed before its end"
    if isinstance(error, http.client.HTTPException):
        return f"its answer is no HTTP ({type(error).__name__})"
    return reason_of(error)
