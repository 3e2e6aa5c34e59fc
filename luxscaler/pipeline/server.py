"""Tiles of a server that takes the next one before the last is written.

    prediction 1   read │ device │ write · · · · · ·
    prediction 2          read ··│ device │ write · · · · · ·     on CUDA: one tile on the device,
    prediction 3                    read ··│ device │ write · ·   as many in encoders as those use cores

Each tile is fetched (remote.py) and walked through stages.py in a thread of its own: the server's event loop
stays free. Encoders of one thread (WebP, PNG, JPEG) run beside one another, one a core; of those that use all
cores two run, so that one computes while the other writes its file. A tile that finds no encoder free keeps
the device, so that at most one finished picture waits in memory. On a CPU, reading, computing and writing
would only compete for the same cores and need memory for two tiles: there one tile is finished before the
next is read. Fetching never waits.
"""

import asyncio
import contextvars
import os
import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from luxscaler.errors import InputError, StoppedError
from luxscaler.io.formats import suffix_of
from luxscaler.pipeline.closing import Closing
from luxscaler.pipeline.remote import FetchSettings, fetch_file
from luxscaler.pipeline.request import PictureFile, UpscaleRequest
from luxscaler.pipeline.result import Result
from luxscaler.pipeline.stages import read_sources, render_sources, write_finished
from luxscaler.pipeline.workers import Workers
from luxscaler.upscaling.upscaler import Upscaler

_Tile = tuple[Result, tempfile.TemporaryDirectory[str]]
ONLY_PUBLIC = FetchSettings()
INPUT_NAMES = ("tile_input", "global_reference")
"""What messages call the pictures of a request: as the container's inputs."""
_PICTURES = {"source": "tile_input", "reference": "global_reference", "boost_mask": "boost_mask"}
"""The pictures of a request by field, and what messages call them."""
READ_SECONDS = 5.0
"""A result is removed after so long even if no other prediction began: it is opened in milliseconds."""
_ONE_THREAD = ("webp", "png", "png-pq", "jpg")
"""Formats whose encoders run on one thread."""
_WIDE_ENCODERS = 2
"""Encoders at once of those that use all cores."""
_GLANCE_SECONDS = 0.1
"""How often a tile that waits for its turn checks whether it is still wanted."""


class TileServer:
    """Upscales tiles for several callers at once."""

    def __init__(
        self,
        upscaler_for: Callable[[str], Upscaler],
        *,
        overlap: bool,
        slots: int,
        fetching: FetchSettings = ONLY_PUBLIC,
        closing: Closing | None = None,
        cores: int | None = None,
    ) -> None:
        """upscaler_for: as in `stages.process`. overlap: whether a tile may be on the device while others are
        read or written. slots: how many predictions the server runs at once. fetching: where pictures may
        come from. closing: tells that the server shuts down. cores: most encoders of one thread at once;
        None: as many as the machine has cores.
        """
        self._upscaler_for = upscaler_for
        self._slots = slots
        self._fetching = fetching
        self._closing = closing
        # More than slots: a cancelled prediction's slot is free before its thread has noticed.
        self._workers = Workers(2 * slots + 1)
        self._device = threading.Lock()
        narrow = threading.BoundedSemaphore(cores or os.cpu_count() or 1)
        self._encoders = dict.fromkeys(_ONE_THREAD, narrow)
        self._wide_encoders = threading.BoundedSemaphore(_WIDE_ENCODERS)
        self._whole = None if overlap else threading.Lock()
        self._written: deque[tempfile.TemporaryDirectory[str]] = deque()

    async def process(self, request: UpscaleRequest) -> Result:
        """Upscale a tile. Its file is in a folder of its own, which stays until the server has read it.

        Text in the request is a URL, never a path. The timings have two more stages: `wait`, for other tiles,
        and `fetch`. When the caller is cancelled, the tile ends as soon as it can, and keeps the device until
        then. Raises what `stages.process` raises, FetchError, and StoppedError when the server shuts down.
        """
        self._remove_what_was_read()
        stop, start = threading.Event(), time.monotonic()
        # With the caller's context, by which a server tells whose words are printed.
        context = contextvars.copy_context()
        pending = self._workers.submit(lambda: context.run(self._process, request, stop, start))
        try:
            result, folder = await self._ended(asyncio.wrap_future(pending))
        except BaseException:
            stop.set()
            pending.add_done_callback(_remove)  # the work may have ended just before the cancel
            raise
        self._written.append(folder)
        asyncio.get_running_loop().call_later(READ_SECONDS, self._remove_written, folder)
        return result

    async def _ended(self, tile: "asyncio.Future[_Tile]") -> _Tile:
        """The tile's result. Raises what the tile raises, and StoppedError if the server ends before."""
        if self._closing is None:
            return await tile
        expired = asyncio.ensure_future(self._closing.expired())
        try:
            await asyncio.wait((tile, expired), return_when=asyncio.FIRST_COMPLETED)
            if not tile.done():
                raise StoppedError("the server is shutting down")
            return tile.result()
        finally:
            expired.cancel()
            tile.cancel()

    def _process(self, request: UpscaleRequest, stop: threading.Event, start: float) -> _Tile:
        def check(*_progress: int) -> None:
            if stop.is_set():
                raise StoppedError("the prediction was cancelled")

        waited = time.monotonic() - start
        folder = tempfile.TemporaryDirectory(prefix="luxscaler-")
        try:
            check()
            path = Path(folder.name) / f"luxscaler{suffix_of(request.output_format)}"
            result, fetched, turns = self._walk(request, path, check)
            check()
        except BaseException:
            folder.cleanup()
            raise
        return replace(result, timings={"wait": waited + turns, "fetch": fetched, **result.timings}), folder

    def _walk(
        self, request: UpscaleRequest, path: Path, check: Callable[..., None]
    ) -> tuple[Result, float, float]:
        """Take a tile through fetching and the three stages, each in its turn.

        Returns the result, and the seconds of fetching and of waiting for other tiles.
        """
        start = time.monotonic()
        local = self._fetched(request, path.parent, check)
        fetched = time.monotonic() - start
        with ExitStack() as until_written:
            whole = nullcontext(0.0) if self._whole is None else _held(self._whole, check)
            for_others = until_written.enter_context(whole)
            sources = read_sources(local, INPUT_NAMES)
            for name in _PICTURES.values():  # they are decoded; only the result stays
                shutil.rmtree(path.parent / name, ignore_errors=True)
            with _held(self._device, check) as for_device:
                finished = render_sources(sources, self._upscaler_for(request.model), check)
                encoder = self._encoders.get(request.output_format, self._wide_encoders)
                for_writer = until_written.enter_context(_held(encoder, check))
            del sources
            return write_finished(finished, path), fetched, for_others + for_device + for_writer

    def _fetched(self, request: UpscaleRequest, folder: Path, check: Callable[[], None]) -> UpscaleRequest:
        """The request with fetched files in the place of URLs."""
        local: dict[str, Any] = {}
        for field, name in _PICTURES.items():
            value = getattr(request, field)
            if isinstance(value, str):
                local[field] = self._file(value, name, folder, check)
        return replace(request, **local)

    def _file(self, url: str, name: str, folder: Path, check: Callable[[], None]) -> PictureFile:
        path = folder / name / "the file"  # what messages call it, after the input's name
        path.parent.mkdir()
        try:
            fetch_file(url, path, self._fetching, check)
        except InputError as error:
            raise type(error)(f"{name}: {error}") from error
        return path

    def _remove_what_was_read(self) -> None:
        """Remove the files of predictions that are over.

        The server reads a file after `process` has returned, and holds the prediction's slot until it has.
        A prediction begins in a free slot: at most the others can still hold files that are to be read, and
        those are the newest.
        """
        while len(self._written) >= self._slots:
            self._written.popleft().cleanup()

    def _remove_written(self, folder: tempfile.TemporaryDirectory[str]) -> None:
        """Remove the folder of one prediction, if later ones have not removed it."""
        if folder in self._written:
            self._written.remove(folder)
            folder.cleanup()


def _remove(pending: "Future[_Tile]") -> None:
    """Remove the folder of a result whose caller was cancelled."""
    if not pending.cancelled() and pending.exception() is None:
        pending.result()[1].cleanup()


@contextmanager
def _held(lock: "threading.Lock | threading.Semaphore", check: Callable[[], None]) -> Iterator[float]:
    """Hold the lock, and yield the seconds of waiting. check: raises when it is not wanted any more."""
    start = time.monotonic()
    while not lock.acquire(timeout=_GLANCE_SECONDS):
        check()
    try:
        check()
        yield time.monotonic() - start
    finally:
        lock.release()
