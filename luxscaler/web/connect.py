"""Connects to the host of a URL that somebody else has named, within limits of place and time.

The connection goes to the address that was checked (reach.py): a name whose server answers differently the
second time gains nothing.
"""

import os
import select
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from functools import cache
from importlib import import_module

from luxscaler.errors import FetchError, one_line
from luxscaler.web.names import lookup
from luxscaler.web.reach import Reach
from luxscaler.web.url import Url

GLANCE_SECONDS = 0.1
"""How often `check` is called."""
_MAX_ADDRESSES = 4
"""Of a name, tried one after another."""


def connected(url: Url, reach: Reach, deadline: float, check: Callable[[], None]) -> socket.socket:
    """A socket connected to the URL's host, with TLS for https, and a time-out of GLANCE_SECONDS.

    deadline: by time.monotonic(). check: called at least every GLANCE_SECONDS; what it raises ends the work.
    Raises FetchError for a place that `reach` does not allow, and a host that cannot be reached in time.
    """
    return _Attempt(url, reach, deadline, check).run()


class _Attempt:
    """One try to connect."""

    def __init__(self, url: Url, reach: Reach, deadline: float, check: Callable[[], None]) -> None:
        self._url, self._reach = url, reach
        self._deadline, self._check = deadline, check

    def run(self) -> socket.socket:
        """A connection to the first address of the host that may be reached and answers."""
        url = self._url
        if kind := self._reach.misnamed(url.host):
            raise FetchError(f"{url.shown} leads to {kind}, which is not fetched from")
        refused = reason = ""
        for address in self._addresses()[:_MAX_ADDRESSES]:
            if kind := self._reach.refusal(address, url.port, url.host):
                refused = kind
                continue
            try:
                return self._opened(address)
            except (OSError, ValueError) as error:
                reason = reason_of(error)
        if refused and not reason:
            raise FetchError(f"{url.shown} leads to {refused}, which is not fetched from")
        raise FetchError(f"{url.origin} cannot be reached: {reason or 'it has no address'}")

    def _addresses(self) -> tuple[str, ...]:
        pending = lookup(self._url.host, self._url.port)
        while True:
            self._check()
            try:
                return pending.result(GLANCE_SECONDS)
            except FutureTimeoutError:
                if pending.done() or time.monotonic() > self._deadline:
                    reason = "looking up its name takes too long"
                    raise FetchError(f"{self._url.origin} cannot be reached: {reason}") from None
            except OSError as error:
                raise FetchError(f"{self._url.origin} cannot be reached: {reason_of(error)}") from error

    def _opened(self, address: str) -> socket.socket:
        """Connected, and wrapped where the URL says https."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            with suppress(BlockingIOError):
                connection.connect((address, self._url.port))
            self._wait(connection, writing=True)
            if error := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(error, os.strerror(error))
            if self._url.scheme == "https":
                connection = tls_context().wrap_socket(
                    connection, server_hostname=self._url.host, do_handshake_on_connect=False
                )
                self._shake_hands(connection)
            connection.settimeout(GLANCE_SECONDS)
        except BaseException:
            connection.close()
            raise
        return connection

    def _shake_hands(self, connection: ssl.SSLSocket) -> None:
        while True:
            try:
                connection.do_handshake()
            except ssl.SSLWantReadError:  # noqa: PERF203 - each try is a message
                self._wait(connection, writing=False)
            except ssl.SSLWantWriteError:
                self._wait(connection, writing=True)
            else:
                return

    def _wait(self, connection: socket.socket, *, writing: bool) -> None:
        poll = select.poll()
        poll.register(connection, select.POLLOUT if writing else select.POLLIN)
        while True:
            self._check()
            if poll.poll(1000 * GLANCE_SECONDS):
                return
            if time.monotonic() > self._deadline:
                raise OSError("no connection in time")


@cache
def tls_context() -> ssl.SSLContext:
    """Certificates are checked against those of the system, or of certifi where the system has none."""
    paths = ssl.get_default_verify_paths()
    if not paths.cafile and not paths.capath:
        with suppress(ImportError):
            return ssl.create_default_context(cafile=import_module("certifi").where())
    return ssl.create_default_context()


def reason_of(error: BaseException) -> str:
    """Why a connection failed, in one line."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    return one_line(getattr(error, "strerror", None) or str(error)) or type(error).__name__
