"""One running Cog container, by its HTTP API: health, one prediction, cancel.

How a prediction is made was chosen by what coglet 0.23.1 does. A prediction's state cannot be asked for, and
the result of an asynchronous one comes by webhook only, to an address that a container behind Docker or on
another machine may not reach. So the client waits in one long PUT /predictions/{id}. That cannot run a tile
twice: a dropped connection cancels the prediction, and a PUT of an id that still runs starts nothing (202).
"""

import contextlib
import socket
from pathlib import Path

import httpx

from luxscaler.cog.messages import CONNECT_SECONDS, SHORT_SECONDS, health_in, run_url, without_password
from luxscaler.cog.reply import Reply, ReplyError, ReplyReader
from luxscaler.cog.status import Health
from luxscaler.errors import BackendError, TileError, one_line

_ALIVE = (Health.READY, Health.BUSY, Health.STARTING)


class BusyError(Exception):
    """The container has another prediction under way."""


class LostError(Exception):
    """The container is not there, or will take no prediction any more."""


def keep_alive_transport() -> httpx.HTTPTransport:
    """Connections that notice within two minutes that the other machine has gone, however long they wait."""
    options: list[tuple[int, int, int]] = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    # A connection for each request: one that was kept may have been closed when it is used again.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx.HTTPTransport(socket_options=options, limits=limits)


class CogClient:
    """One container. Its methods may be called from several threads."""

    def __init__(self, url: str, http: httpx.Client) -> None:
        self._url, self.url = url.rstrip("/"), without_password(url)
        self._http = http

    def health(self) -> Health:
        """The state in its health check. Raises LostError when no Cog server answers."""
        try:
            answer = self._http.get(f"{self._url}/health-check", timeout=SHORT_SECONDS)
        except httpx.HTTPError as error:
            raise LostError(_reason(error)) from error
        health = health_in(answer.content)
        if health is Health.UNREACHABLE:
            raise LostError("what answers there is no Cog server")
        return health

    def predict(self, name: str, body: bytes, outputs: Path, most: int, seconds: float) -> Reply:
        """Run a prediction to its end; its output's files, at most `most` bytes, go into `outputs`.

        Raises BusyError, LostError, TileError, or BackendError for a request that will never be right.
        """
        limits = httpx.Timeout(seconds, connect=CONNECT_SECONDS)
        headers = {"Content-Type": "application/json"}
        url = run_url(self._url, name)
        try:
            with self._http.stream("PUT", url, content=body, headers=headers, timeout=limits) as answer:
                if answer.status_code != httpx.codes.OK:
                    answer.read()
                    self._refused(answer, name)
                with ReplyReader(outputs, most) as reader:
                    for piece in answer.iter_bytes():
                        reader.feed(piece)
                    return reader.end()
        except ReplyError as error:
            raise TileError(str(error)) from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise LostError(_reason(error)) from error
        except httpx.TimeoutException as error:
            self.cancel(name)
            raise TileError(f"{self.url} gave no result within {seconds:g} s") from error
        except httpx.HTTPError as error:
            self._check_alive()
            raise TileError(f"the connection to {self.url} broke: {_reason(error)}") from error

    def cancel(self, name: str) -> None:
        """Cancel a prediction, if it runs; without an answer nothing is raised."""
        with contextlib.suppress(httpx.HTTPError):
            url = f"{run_url(self._url, name)}/cancel"
            self._http.post(url, timeout=SHORT_SECONDS)

    def _refused(self, answer: httpx.Response, name: str) -> None:
        """Raise what a status other than 200 means."""
        code, text = answer.status_code, one_line(answer.text)
        if code == httpx.codes.ACCEPTED:
            # An earlier connection broke and the server has not noticed; nobody can get its result any more.
            self.cancel(name)
            raise BusyError
        if code == httpx.codes.CONFLICT:
            raise BusyError
        if code >= httpx.codes.INTERNAL_SERVER_ERROR:
            self._check_alive()
            raise TileError(f"{self.url} answers {code}: {text}")
        raise BackendError(f"{self.url} refuses the prediction with {code}: {text}")

    def _check_alive(self) -> None:
        health = self.health()
        if health not in _ALIVE:
            raise LostError(f"its health check says {health}")


def _reason(error: Exception) -> str:
    return one_line(str(error)) or type(error).__name__
