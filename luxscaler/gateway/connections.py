"""Keeps uvicorn responsive with many and slow clients, for the gateway and the console.

A client that sends no whole request in time loses its connection; so does the one that has waited longest
when there is no room for another. What a flood of clients makes the server say is logged a few times only.
"""

import asyncio
import logging
import resource
import time
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

STOP_SECONDS = 2
"""Requests that wait, and streams of events, are ended after so long."""
_OTHER_FILES = 128
"""Open files that are kept for other things than clients: the database, containers, webhooks."""
_LOG_LINES, _LOG_SECONDS = 20, 10.0
"""So many lines are logged in such a time, from each place in the code."""


def patient_config(
    app: Any, host: str, port: int, *, head_seconds: float, max_connections: int, **options: Any
) -> uvicorn.Config:
    """How uvicorn runs an app. head_seconds, max_connections: as `patient_protocol` takes them, but no more
    connections than the system allows files. options: further ones of uvicorn's."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=patient_protocol(head_seconds, min(max_connections, _connections())),
        access_log=False,  # it would hold the signatures of addresses
        log_level="warning",
        timeout_graceful_shutdown=STOP_SECONDS,
        server_header=False,
        **options,
    )
    for name in ("uvicorn.error", "asyncio"):
        log = logging.getLogger(name)
        if not any(isinstance(one, FewLines) for one in log.filters):
            log.addFilter(FewLines())
    return config


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
        """Whether a record is logged; the last one before a pause says that more follow."""
        place, now = (record.pathname, record.lineno), time.monotonic()
        since, count = self._seen.get(place, (now, 0))
        if now - since > _LOG_SECONDS:
            since, count = now, 0
        self._seen[place] = since, count + 1
        if count == _LOG_LINES:
            record.msg, record.args, record.exc_info = "further lines like the last are left out", (), None
        return count <= _LOG_LINES


def _connections() -> int:
    """How many connections the system allows, once its limit of open files is raised as far as it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and (hard == resource.RLIM_INFINITY or hard > soft):
        wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
        if wanted > soft:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return 100_000 if soft == resource.RLIM_INFINITY else max(16, soft - _OTHER_FILES)
