"""One running Cog container, by its HTTP API: health, one prediction, cancel.

How a prediction is made was chosen by what coglet 0.23.1 does. A prediction's state cannot be asked for, and
the result of an asynchronous one comes by webhook only, to an address that a container behind Docker or on
another machine may not reach. So the client waits in one long PUT /predictions/{id}. That cannot run a tile
twice: a dropped connection cancels the prediction, and a PUT of an id that still runs starts nothing (202).
Which container gets which tile is not known here.
"""

import base64
import contextlib
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import httpx

from luxscaler.cog.reply import Reply
from luxscaler.errors import BackendError, TileError

MAX_BODY = 100 * 2**20
"""Bytes that a Cog server takes at most; more is a 413."""
_FINE = ("READY", "BUSY", "STARTING")
_SECONDS = 5.0
"""For everything but predictions."""
_MAX_SHOWN = 300


class BusyError(Exception):
    """The container has another prediction under way."""


class LostError(Exception):
    """The container is not there, or will take no prediction any more."""


@dataclass(frozen=True)
class Prediction:
    """How one ended: "succeeded", "failed" or "canceled"."""

    status: str
    error: str
    seconds: float
    has_output: bool


def keep_alive_transport() -> httpx.HTTPTransport:
    """Connections that notice within two minutes that the other machine has gone, however long they wait."""
    options: list[tuple[int, int, int]] = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    # A connection for each request: one that was kept may have been closed when it is used again.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx.HTTPTransport(socket_options=options, limits=limits)


def data_url(content_type: str, data: bytes) -> str:
    """The bytes as a data URL."""
    return f"data:{content_type};base64,{base64.b64encode(data).decode()}"


def body_of(inputs: Mapping[str, Any]) -> bytes:
    """The request's body. BackendError if a Cog server would not take it."""
    body = json.dumps({"input": dict(inputs)}).encode()
    if len(body) > MAX_BODY:
        raise BackendError(
            f"a tile with its reference makes a request of {len(body) / 2**20:.0f} MiB, and a Cog container "
            f"takes {MAX_BODY // 2**20} MiB: choose smaller tiles"
        )
    return body


class CogContainer:
    """One container. Its methods may be called from several threads."""

    def __init__(self, url: str, client: httpx.Client) -> None:
        self.url = url.rstrip("/")
        self._client = client

    def health(self) -> str:
        """READY, BUSY, STARTING, SETUP_FAILED, DEFUNCT ...; LostError when there is no answer."""
        try:
            answer = self._client.get(f"{self.url}/health-check", timeout=_SECONDS)
            reply = answer.json()
        except httpx.HTTPError as error:
            raise LostError(_reason(error)) from error
        except ValueError as error:
            raise LostError("what answers there is no Cog server") from error
        status = reply.get("status") if isinstance(reply, dict) else None
        if not isinstance(status, str):
            raise LostError("what answers there is no Cog server")
        return status

    def predict(self, name: str, body: bytes, target: BinaryIO, most: int, seconds: float) -> Prediction:
        """Run a prediction and write its output, at most `most` bytes, to `target`.

        Raises BusyError, LostError, TileError, or BackendError for a request that will never be right.
        """
        limits = httpx.Timeout(seconds, connect=_SECONDS)
        headers = {"Content-Type": "application/json"}
        url = f"{self.url}/predictions/{name}"
        try:
            with self._client.stream("PUT", url, content=body, headers=headers, timeout=limits) as answer:
                if answer.status_code != httpx.codes.OK:
                    answer.read()
                    self._refused(answer, name)
                return _read(answer, target, most)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise LostError(_reason(error)) from error
        except httpx.TimeoutException as error:
            self.cancel(name)
            raise TileError(f"{self.url} gave no result within {seconds:g} s") from error
        except httpx.HTTPError as error:
            self._check_alive()
            raise TileError(f"the connection to {self.url} broke: {_reason(error)}") from error

    def cancel(self, name: str) -> None:
        """Cancel a prediction, if it runs; no answer is no news."""
        with contextlib.suppress(httpx.HTTPError):
            self._client.post(f"{self.url}/predictions/{name}/cancel", timeout=_SECONDS)

    def _refused(self, answer: httpx.Response, name: str) -> None:
        code, text = answer.status_code, shown(answer.text)
        if code == httpx.codes.ACCEPTED:
            # An earlier connection broke and the server has not noticed; its result is to be had no more.
            self.cancel(name)
            raise BusyError
        if code == httpx.codes.CONFLICT:
            raise BusyError
        if code >= httpx.codes.INTERNAL_SERVER_ERROR:
            self._check_alive()
            raise TileError(f"{self.url} answers {code}: {text}")
        raise BackendError(f"{self.url} refuses the prediction with {code}: {text}")

    def _check_alive(self) -> None:
        status = self.health()
        if status not in _FINE:
            raise LostError(f"its health check says {status}")


def _read(answer: httpx.Response, target: BinaryIO, most: int) -> Prediction:
    reply = Reply(target, most)
    for piece in answer.iter_bytes():
        reply.feed(piece)
    values = reply.end()
    metrics = values.get("metrics")
    seconds = metrics.get("predict_time") if isinstance(metrics, dict) else None
    return Prediction(
        status=str(values.get("status")),
        error=shown(str(values.get("error") or "")),
        seconds=float(seconds) if isinstance(seconds, (int, float)) else 0.0,
        has_output=values.get("output") == "",
    )


def shown(text: str) -> str:
    """One line, not too long."""
    line = " ".join(text.split())
    return line if len(line) <= _MAX_SHOWN else f"{line[: _MAX_SHOWN - 1]}…"


def _reason(error: Exception) -> str:
    return shown(str(error)) or type(error).__name__
