"""Runs a gateway under uvicorn until it is asked to stop; slow and many clients do not make it deaf."""

import asyncio
import logging
import resource
import time
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from luxscaler.errors import GatewayError
from luxscaler.gateway.app import make_app
from luxscaler.gateway.keys import Keys, only_gateway
from luxscaler.gateway.settings import Settings

STOP_SECONDS = 2
"""Requests that wait for a prediction are ended after so long."""
_OTHER_FILES = 128
"""Open files that are no client's connection: the database, containers, webhooks."""
_LOG_LINES, _LOG_SECONDS = 20, 10.0
"""Of one place in the code, so many lines in such a time are logged."""


def make_server(settings: Settings, keys: Keys) -> uvicorn.Server:
    """A server that is not running yet."""
    return uvicorn.Server(make_config(settings, make_app(settings, keys)))


def make_config(settings: Settings, app: Any) -> uvicorn.Config:
    """How uvicorn runs the app."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=patient_protocol(settings.head_seconds, min(settings.max_connections, _connections())),
        access_log=False,  # it would hold the signatures of addresses
        log_level="warning",
        timeout_graceful_shutdown=STOP_SECONDS,
        server_header=False,
    )
    for name in ("uvicorn.error", "asyncio"):
        log = logging.getLogger(name)
        if not any(isinstance(one, FewLines) for one in log.filters):
            log.addFilter(FewLines())
    return config


def check_bind(settings: Settings, *, own_token: bool) -> None:
    """Raises GatewayError: others could connect, and nobody has said with which token."""
    if not settings.is_loopback and not own_token:
        raise GatewayError(
            f"--host {settings.host} lets other machines connect: give a token of your own, by --token-file "
            "or LUXSCALER_GATEWAY_TOKEN"
        )


def serve(settings: Settings, keys: Keys) -> None:
    """Until Ctrl-C or SIGTERM. Raises GatewayError if it cannot listen, or another one has its folder."""
    with only_gateway(settings.data):
        server = make_server(settings, keys)
        try:
            server.run()
        except KeyboardInterrupt:  # uvicorn has stopped in good order, and passes the signal on
            return
        except SystemExit as error:  # uvicorn's way of saying that it could not start
            raise GatewayError(f"cannot listen on {settings.host} port {settings.port}") from error


def patient_protocol(seconds: float, most: int) -> type[H11Protocol]:
    """A protocol that waits so long for the head of a request, and for each piece of its body.

    most: connections at once; one more ends the one that has waited longest without a whole request.
    """

    class Patient(H11Protocol):
        """One connection."""

        _waiting_since = 0.0
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > most:
                self._make_room()
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            expected_head = self._expects_head()
            super().data_received(data)
            if not self._expects_request():
                self._stop_waiting()
            elif not (
                expected_head and self._expects_head()
            ):  # a head has one deadline, a body one for each piece
                self._wait()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if not self.transport.is_closing():
                self._wait()

        def _expects_head(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def _expects_request(self) -> bool:
            return self._expects_head() or (self.cycle.more_body and not self.flow.read_paused)

        def _wait(self) -> None:
            self._stop_waiting()
            self._waiting_since = time.monotonic()
            self._timer = self.loop.call_later(seconds, self._end)

        def _stop_waiting(self) -> None:
            self._waiting_since = 0.0
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _end(self) -> None:
            if self._expects_request():
                self.transport.abort()

        def _make_room(self) -> None:
            others = [one for one in self.connections if isinstance(one, Patient) and one is not self]
            waiting = [one for one in others if one._waiting_since]
            oldest = min(waiting, key=lambda one: one._waiting_since, default=self)
            oldest.transport.abort()

    return Patient


class FewLines(logging.Filter):
    """Lets a few lines of each place in the code through, so that a flood of clients fills no disk."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is logged; the last of a flood says so."""
        place, now = (record.pathname, record.lineno), time.monotonic()
        since, count = self._seen.get(place, (now, 0))
        if now - since > _LOG_SECONDS:
            since, count = now, 0
        self._seen[place] = since, count + 1
        if count == _LOG_LINES:
            record.msg, record.args, record.exc_info = "further lines like the last are left out", (), None
        return count <= _LOG_LINES


def _connections() -> int:
    """How many the system allows, after as many files as it grants were asked for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and (hard == resource.RLIM_INFINITY or hard > soft):
        wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
        if wanted > soft:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return 100_000 if soft == resource.RLIM_INFINITY else max(16, soft - _OTHER_FILES)
