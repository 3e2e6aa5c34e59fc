"""Tiles of a server that takes the next one before the last is written.

    prediction 1   read │ device │ write
    prediction 2          read ··│ device │ write        on CUDA: one tile on the device, one in the encoder
    prediction 3                    read ··│ device │

Each tile is walked through stages.py in a thread of its own, so that the server's event loop stays free.
Whoever leaves the device waits until the tile before it is written, so that at most one finished picture
waits in memory. On a CPU reading, computing and writing would only take the same cores from one another, and
memory for two; there one tile is walked to its end before the next begins.
"""

import asyncio
import contextvars
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from luxscaler.errors import StoppedError
from luxscaler.io.write import suffix_of
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.result import Result
from luxscaler.pipeline.stages import read_sources, render_sources, write_finished
from luxscaler.upscaling.upscaler import Upscaler

INPUT_NAMES = ("tile_input", "global_reference")
"""What messages call the pictures of a request: as the container's inputs."""
_GLANCE_SECONDS = 0.1
"""How often who waits for its turn looks whether it is still wanted."""


class TileServer:
    """Walks tiles for callers that may be several at once."""

    def __init__(self, upscaler_for: Callable[[str], Upscaler], *, overlap: bool, slots: int) -> None:
        """upscaler_for: as for process. overlap: whether a tile may be on the device while another is
        read or written. slots: how many predictions the server lets be under way at once."""
        self._upscaler_for = upscaler_for
        self._slots = slots
        # One more than slots: a cancelled prediction's slot is free before its thread has noticed.
        self._threads = ThreadPoolExecutor(slots + 1 if overlap else 1, thread_name_prefix="tile")
        self._device, self._writer = threading.Lock(), threading.Lock()
        self._written: deque[tempfile.TemporaryDirectory[str]] = deque()

    async def process(self, request: UpscaleRequest) -> Result:
        """The tile's file, in a folder of its own, which stays until the server has surely read it.

        The timings have one stage more, `wait`: for other tiles. When the caller is cancelled, the tile ends
        as soon as it can; until then the device is its own. Raises what process raises.
        """
        self._remove_what_was_read()
        stop, start = threading.Event(), time.monotonic()
        # With the caller's context, by which a server tells whose words are printed.
        work = contextvars.copy_context().run
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, work, self._process, request, stop, start)
        finally:
            stop.set()

    def _process(self, request: UpscaleRequest, stop: threading.Event, start: float) -> Result:
        def check(*_progress: int) -> None:
            if stop.is_set():
                raise StoppedError("the prediction was cancelled")

        waited = time.monotonic() - start
        folder = tempfile.TemporaryDirectory(prefix="luxscaler-")
        try:
            check()
            path = Path(folder.name) / f"luxscaler{suffix_of(request.output_format)}"
            result, turns = self._walk(request, path, check)
            check()
        except BaseException:
            folder.cleanup()
            raise
        self._written.append(folder)
        return replace(result, timings={"wait": waited + turns, **result.timings})

    def _walk(self, request: UpscaleRequest, path: Path, check: Callable[..., None]) -> tuple[Result, float]:
        """process in turns; the result, and the seconds waited for other tiles."""
        sources = read_sources(request, INPUT_NAMES)
        with ExitStack() as until_written:
            with _held(self._device, check) as for_device:
                finished = render_sources(sources, self._upscaler_for(request.model), check)
                for_writer = until_written.enter_context(_held(self._writer, check))
            del sources
            return write_finished(finished, path), for_device + for_writer

    def _remove_what_was_read(self) -> None:
        """Files of predictions that are over.

        The server reads a file after `process` has returned, and holds the prediction's slot until it has.
        A prediction begins in a free slot: at most the others can still hold files that are to be read, and
        those are the newest.
        """
        while len(self._written) >= self._slots:
            self._written.popleft().cleanup()


@contextmanager
def _held(lock: threading.Lock, check: Callable[[], None]) -> Iterator[float]:
    """Hold the lock; the seconds that it was waited for. `check` raises when nobody wants it any more."""
    start = time.monotonic()
    while not lock.acquire(timeout=_GLANCE_SECONDS):
        check()
    try:
        check()
        yield time.monotonic() - start
    finally:
        lock.release()
