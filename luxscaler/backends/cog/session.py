"""The tiles of one master on Cog containers that are ready.

A container that is busy keeps its tile waiting; one that is lost gives its tile back, which costs the tile
no attempt. cog/pool.py chooses the container, cog/client.py talks to it.
"""

import queue
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from luxscaler.backends import exr_transport
from luxscaler.backends.base import MasterContext, Tile, TileOutput
from luxscaler.backends.cog.pool import Pool
from luxscaler.cog.client import BusyError, CogClient, LostError
from luxscaler.cog.data_urls import data_url
from luxscaler.cog.messages import body_of
from luxscaler.cog.reply import Reply
from luxscaler.cog.status import Status
from luxscaler.errors import InputError, StoppedError, TileError, one_line

_GLANCE_SECONDS = 0.05
_STOP_SECONDS = 5.0
"""How long a canceled prediction is waited for."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class CogOptions:
    """The longest waits of the backend, in seconds."""

    start: float = 300.0
    """For the setup of a container that says STARTING."""
    tile: float = 1800.0
    """For one tile."""
    busy: float = 600.0
    """For a container that others use."""
    look_again: float = 15.0
    """Between two checks of a lost container."""
    all_lost: float = 30.0
    """For the return of one when all are lost."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < float("inf"):
                raise InputError(f"{name} is {value}; it must be a number of seconds from 0")


class CogSession:
    """Containers that answer, and what all tiles of a master share."""

    def __init__(
        self, pool: Pool, context: MasterContext, options: CogOptions, job: str, folder: Path
    ) -> None:
        """job: what the ids of its predictions begin with. folder: for results, empty."""
        self.job = job
        self._pool = pool
        self._context = context
        self._options = options
        self._folder = folder
        self._reference: str | None = None
        if context.reference is not None:
            self._reference = _as_data_url(exr_transport.encode(context.reference))

    @property
    def workers(self) -> int:
        """One tile for each container that is not lost, and one more that is prepared meanwhile."""
        return self._pool.alive + 1

    def run(self, tile: Tile) -> TileOutput:
        """Upscale one tile in the container that is free next."""
        body = body_of(self.inputs(tile))
        name = f"{self.job}-{tile.index}-{tile.attempt}"
        with tempfile.TemporaryDirectory(dir=self._folder, ignore_cleanup_errors=True) as folder:
            path, seconds = self._predict(name, body, Path(folder), tile.output_size)
            rgb, alpha = exr_transport.decode(
                path, tile.output_size, tile.box, is_associated=tile.picture.source.is_associated
            )
        return TileOutput(rgb, alpha, seconds)

    def inputs(self, tile: Tile) -> dict[str, object]:
        """The inputs of a container's prediction for a tile."""
        picture = _as_data_url(exr_transport.encode(tile.picture, is_hdr=self._context.is_hdr))
        return exr_transport.tile_inputs(self._context.settings, picture, self._reference, tile.box)

    def _predict(self, name: str, body: bytes, folder: Path, size: tuple[int, int]) -> tuple[Path, float]:
        """Run a prediction on the container that is free next: (the result's file, seconds of computing).

        Raises TileError, which costs no attempt where containers were busy or lost.
        """
        deadline = time.monotonic() + self._options.busy
        while True:
            pooled = self._pool.take(self._context.raise_if_stopped)
            try:
                reply = self._ask(pooled.client, name, body, folder, size)
            except BusyError as error:
                self._pool.busy(pooled)
                if time.monotonic() > deadline:
                    raise TileError(
                        f"all containers were busy for {self._options.busy:g} s", counts=False
                    ) from error
            except LostError as error:
                self._pool.lose(pooled, str(error))
                raise TileError(f"{pooled.client.url} is lost: {error}", counts=False) from error
            except BaseException:
                self._pool.give_back(pooled)
                raise
            else:
                self._pool.give_back(pooled)
                return folder / _file_in(reply, pooled.client.url), reply.seconds

    def _ask(self, client: CogClient, name: str, body: bytes, folder: Path, size: tuple[int, int]) -> Reply:
        most = exr_transport.most_bytes(size)

        def work() -> Reply:
            return client.predict(name, body, folder, most, self._options.tile)

        return _interruptible(work, self._context.stop, lambda: client.cancel(name))


def _as_data_url(data: bytes) -> str:
    return data_url(exr_transport.CONTENT_TYPE, data)


def _file_in(reply: Reply, url: str) -> str:
    """The name of the file that a prediction made. Raises TileError if it made none."""
    if reply.status is Status.SUCCEEDED and reply.file is not None:
        return reply.file
    if reply.status is Status.CANCELED:
        raise TileError(f"the prediction was canceled at {url}", counts=False)
    reason = one_line(reply.error) or f"status {str(reply.status)!r} without a picture"
    raise TileError(f"{url}: {reason}")


def _interruptible(work: Callable[[], Result], stop: threading.Event, cancel: Callable[[], None]) -> Result:
    """The result of `work`, which runs in a thread.

    Once `stop` is set, `cancel` is called, and work that does not end soon is abandoned. Raises StoppedError.
    """
    outcome: queue.SimpleQueue[tuple[Result | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put((work(), None))
        except BaseException as error:
            outcome.put((None, error))

    threading.Thread(target=run, name="cog-prediction", daemon=True).start()
    deadline: float | None = None
    while True:
        try:
            result, error = outcome.get(timeout=_GLANCE_SECONDS)
        except queue.Empty:
            if stop.is_set() and deadline is None:
                deadline = time.monotonic() + _STOP_SECONDS
                cancel()
            if deadline is not None and time.monotonic() > deadline:
                raise StoppedError("stopped") from None
            continue
        if stop.is_set():
            raise StoppedError("stopped") from error
        if error is not None:
            raise error
        return result  # type: ignore[return-value] # there is one when there is no error
