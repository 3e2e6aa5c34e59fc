"""The part of Ray that tiles need: a cluster, workers on it, calls that may be given up.

The only module that imports Ray, when a cluster is opened; Ray's errors become LuxScaler's here.
"""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from luxscaler.backends.ray.worker import Worker
from luxscaler.errors import BackendError, InputError, LuxScalerError, TileError

_CONNECT_SECONDS = 5.0
_GLANCE_SECONDS = 0.2
"""How often a waiting call checks whether the user wants to stop."""


class LostError(Exception):
    """A worker is gone, or of no use any more. by_tile: whether its tile is the likely cause."""

    def __init__(self, text: str, *, by_tile: bool = False) -> None:
        super().__init__(text)
        self.by_tile = by_tile


@dataclass(frozen=True)
class Share:
    """The resources that one worker gets of a node."""

    gpus: int
    cpus: int


class Cluster:
    """A connection to a Ray cluster."""

    def __init__(self, address: str | None) -> None:
        """address: "auto", host:port, or None for one of this machine alone. Raises BackendError."""
        try:
            import ray  # noqa: PLC0415
        except ImportError as error:
            raise BackendError(
                "Ray is not installed: it is the optional extra `ray` (pip install 'luxscaler[ray]')"
            ) from error
        if address not in (None, "auto"):
            _check_reachable(str(address))
        self._ray: Any = ray
        self._is_ours = not ray.is_initialized()
        if not self._is_ours:
            return
        try:
            if address is None:
                ray.init("local", logging_level="ERROR", log_to_driver=False, include_dashboard=False)
            else:
                ray.init(address, logging_level="ERROR", log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            where = "on this machine" if address is None else f"at {address}"
            raise BackendError(f"no Ray cluster can be used {where}: {_first_line(error)}") from error

    def close(self) -> None:
        """Leave the cluster; end it if it was begun here."""
        if self._is_ours:
            self._ray.shutdown()

    def put(self, value: object) -> Any:
        """Store a value once for all workers, and return Ray's reference to it."""
        return self._ray.put(value)

    def shares(self, cpus: int) -> list[Share]:
        """The shares of all workers for which there is room: a GPU each, or `cpus` cores without GPUs."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        gpus = sum(int(node.get("GPU", 0)) for node in nodes)
        if gpus:
            return [Share(1, 0)] * gpus
        cores = [int(node.get("CPU", 0)) for node in nodes]
        each = min([cpus, *(count for count in cores if count)])
        return [Share(0, each)] * sum(count // each for count in cores)

    def begin(self, share: Share) -> Any:
        """Ask for a worker; Ray starts it once a node has room."""
        kind = self._ray.remote(
            num_gpus=share.gpus, num_cpus=share.cpus, max_restarts=0, scheduling_strategy="SPREAD"
        )(Worker)
        return kind.remote(share.cpus or None)

    def end(self, worker: Any) -> None:
        """End a worker, whatever it does."""
        self._ray.kill(worker, no_restart=True)

    def result(self, call: Any, check: Callable[[], None], seconds: float) -> Any:
        """The result of a worker's call. check: raises when the user wants to stop. seconds: longest wait.

        Raises LostError (also when the time is over), TileError, or what LuxScaler raised on the node.
        """
        errors = self._ray.exceptions
        deadline = time.monotonic() + seconds
        while True:
            check()
            try:
                return self._ray.get(call, timeout=_GLANCE_SECONDS)
            except errors.GetTimeoutError as error:
                if time.monotonic() > deadline:
                    raise LostError(f"it gave no result within {seconds:g} s", by_tile=True) from error
            except errors.OutOfMemoryError as error:
                raise LostError("the node ran out of memory", by_tile=True) from error
            except errors.RayTaskError as error:
                raise _translated(error) from error
            except (errors.RayActorError, errors.ObjectLostError, errors.WorkerCrashedError) as error:
                raise LostError(_first_line(error)) from error
            except errors.RayError as error:
                raise TileError(f"Ray: {_first_line(error)}") from error


def _check_reachable(address: str) -> None:
    """Raise BackendError for an address that refuses connections; Ray would try for minutes, and print it."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or "/" in host:
        raise InputError(f"the Ray cluster is said to be at {address!r}; it must be host:port, or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise BackendError(f"no Ray cluster can be used at {address}: {_first_line(error)}") from error


def _translated(error: Any) -> LuxScalerError:
    """The error that was raised on the node, without the traceback that is in Ray's text."""
    cause = error.cause
    if isinstance(cause, TileError) or not isinstance(cause, LuxScalerError):
        return TileError(f"a Ray worker failed: {_first_line(cause)}")
    return type(cause)(str(cause))


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(lines[0].split())[:300]
