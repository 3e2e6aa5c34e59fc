"""Tiles upscaled by running Cog containers, one or many, given by their URLs.

    Tile → parcels.pack → data URL → a container of pool.py → cog/client.py → file → parcels.unpack

A container that is busy keeps its tile waiting, one that is lost gives it back at no cost to the tile's
budget. Nothing is paid here, so nothing needs to survive a crash but the name of the job, from which the ids
of predictions are made.
"""

import queue
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx

from luxscaler.backends import exr_transport
from luxscaler.backends.base import MasterContext, Tile, TileOutput
from luxscaler.backends.cog.pool import Place, Pool
from luxscaler.cog.client import (
    BusyError,
    CogContainer,
    LostError,
    Prediction,
    body_of,
    data_url,
    keep_alive_transport,
)
from luxscaler.errors import BackendError, InputError, StoppedError, TileError

_JOB = "cog.job"
_GLANCE_SECONDS = 0.1
_STOP_SECONDS = 5.0
"""How long a canceled prediction is waited for."""
_READY, _STARTING, _BUSY = "READY", "STARTING", "BUSY"
Result = TypeVar("Result")


@dataclass(frozen=True)
class CogOptions:
    """How patient the backend is, in seconds."""

    start: float = 300.0
    """For the setup of a container that says STARTING."""
    tile: float = 1800.0
    """For one tile."""
    busy: float = 600.0
    """For a container that others use."""
    look_again: float = 15.0
    """Between two looks at a lost container."""
    all_lost: float = 30.0
    """For the return of one when all are lost."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < float("inf"):
                raise InputError(f"{name} is {value}; it must be a number of seconds from 0")


class CogBackend:
    """Containers at `urls`, e.g. http://127.0.0.1:5000."""

    name = "cog"

    def __init__(
        self,
        urls: Sequence[str],
        options: CogOptions = CogOptions(),
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Raises InputError for an address that is none. transport: for tests."""
        if not urls:
            raise InputError("no address of a Cog container was given")
        self._client = httpx.Client(transport=transport or keep_alive_transport())
        self._containers = [CogContainer(_checked(url), self._client) for url in dict.fromkeys(urls)]
        self._options = options
        self._pool = Pool(self._containers, options.look_again, options.all_lost)
        self._context: MasterContext | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._job = ""
        self._reference: str | None = None

    @property
    def workers(self) -> int:
        """One for each container that was there at the start, and one whose tile is ready for the next."""
        return self._pool.alive + 1

    def start(self, context: MasterContext) -> None:
        """Ask every container how it is, and wait for those whose setup runs.

        Raises BackendError naming those that do not answer; broken ones are done without, unless all are.
        """
        self._wait_for_containers(context)
        self._context = context
        self._folder = tempfile.TemporaryDirectory(prefix="luxscaler-")
        self._job = context.ledger.recall(_JOB) or uuid.uuid4().hex[:12]
        context.ledger.remember(_JOB, self._job)
        if context.reference is not None:
            self._reference = data_url(exr_transport.CONTENT_TYPE, exr_transport.pack(context.reference))

    def run(self, tile: Tile) -> TileOutput:
        """Upscale one tile in the container that is free next."""
        context, folder = self._context, self._folder
        assert context is not None  # noqa: S101 - start comes first
        assert folder is not None  # noqa: S101
        body = body_of(self._inputs(context, tile))
        name = f"{self._job}-{tile.index}-{tile.attempt}"
        path = Path(folder.name) / f"{name}{exr_transport.SUFFIX}"
        try:
            seconds = self._predict(context, name, body, path, tile.output_size)
            rgb, alpha = exr_transport.unpack(path, tile.output_size, tile.box)
        finally:
            path.unlink(missing_ok=True)  # the pixels lie in a file of their own
        return TileOutput(rgb, alpha, seconds)

    def close(self) -> None:
        """Close connections, which cancels what runs on them."""
        self._client.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _inputs(self, context: MasterContext, tile: Tile) -> dict[str, object]:
        settings = context.settings
        inputs: dict[str, object] = {
            "tile_input": data_url(
                exr_transport.CONTENT_TYPE, exr_transport.pack(tile.picture, is_hdr=context.is_hdr)
            ),
            "output_format": "exr",
            "fractality": settings.fractality,
            "scale": settings.scale,
            "model": settings.model,
        }
        if self._reference is not None:
            inputs["global_reference"] = self._reference
        if self._reference is not None and tile.box is not None:
            inputs["tile_box"] = exr_transport.number_text(tile.box)
        return inputs

    def _predict(
        self, context: MasterContext, name: str, body: bytes, path: Path, size: tuple[int, int]
    ) -> float:
        """Have it done by one container or the next; the seconds it took."""
        deadline = time.monotonic() + self._options.busy
        while True:
            place = self._pool.take(context.raise_if_stopped)
            try:
                prediction = self._ask(context, place.container, name, body, path, size)
            except BusyError as error:
                self._pool.busy(place)
                if time.monotonic() > deadline:
                    raise TileError(
                        f"all containers were busy for {self._options.busy:g} s", counts=False
                    ) from error
            except LostError as error:
                self._pool.lose(place, str(error))
                raise TileError(f"{place.container.url} is lost: {error}", counts=False) from error
            except BaseException:
                self._pool.give_back(place)
                raise
            else:
                self._pool.give_back(place)
                return _seconds(prediction, place)

    def _ask(
        self,
        context: MasterContext,
        container: CogContainer,
        name: str,
        body: bytes,
        path: Path,
        size: tuple[int, int],
    ) -> Prediction:
        most = exr_transport.most_bytes(size)

        def work() -> Prediction:
            with path.open("wb") as target:
                return container.predict(name, body, target, most, self._options.tile)

        return _interruptible(work, context.stop, lambda: container.cancel(name))

    def _wait_for_containers(self, context: MasterContext) -> None:
        deadline = time.monotonic() + self._options.start
        waiting, missing = list(self._pool.places), list[str]()
        while waiting:
            context.raise_if_stopped()
            for place in list(waiting):
                status = _health(place.container, missing)
                if status == _STARTING and time.monotonic() < deadline:
                    continue
                waiting.remove(place)
                if status not in (_READY, _BUSY, ""):
                    self._pool.lose(place, f"its health check says {status}")
            if waiting:
                context.stop.wait(_GLANCE_SECONDS)
        if missing:
            raise BackendError(f"no answer from {len(missing)} Cog container(s): {'; '.join(missing)}")
        if not self._pool.alive:
            raise BackendError(f"no Cog container can be used: {self._pool.reasons()}")


def _health(container: CogContainer, missing: list[str]) -> str:
    try:
        return container.health()
    except LostError as error:
        missing.append(f"{container.url}: {error}")
        return ""


def _checked(url: str) -> str:
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise InputError(f"the address of a Cog container is {url!r}: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.host:
        raise InputError(f"the address of a Cog container is {url!r}; it must start with http:// or https://")
    return url


def _seconds(prediction: Prediction, place: Place) -> float:
    """What a prediction that succeeded took; TileError for any other."""
    if prediction.status == "succeeded" and prediction.has_output:
        return prediction.seconds
    if prediction.status == "canceled":
        raise TileError(f"the prediction was canceled at {place.container.url}", counts=False)
    reason = prediction.error or f"status {prediction.status!r} without a picture"
    raise TileError(f"{place.container.url}: {reason}")


def _interruptible(work: Callable[[], Result], stop: threading.Event, cancel: Callable[[], None]) -> Result:
    """The result of `work`, which blocks in a thread of its own; canceled and left alone when stopped."""
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
