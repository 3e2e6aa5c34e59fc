"""Runs the assembler in a thread of its own, so that rows are encoded while tiles are upscaled."""

import threading
from collections.abc import Callable
from types import TracebackType

from luxscaler.threads import Worker
from luxscaler.tiling.assembly import Assembler

_POLL_SECONDS = 0.5


class Writer:
    """A context whose thread has ended when it is left. An error of the assembler sets `stop`."""

    def __init__(self, assembler: Assembler, done: Callable[[int], bool], stop: threading.Event) -> None:
        """done: whether a tile is there. stop: is set when rows cannot be written."""
        self._assembler = assembler
        self._done = done
        self._stop = stop
        self._wake = threading.Event()
        self._ending = self._is_writing = False
        self._error: BaseException | None = None
        self._thread = Worker(self._write, "rows")

    @property
    def is_behind(self) -> bool:
        """Whether rows whose tiles are there are still being written, or wait to be."""
        return self._error is None and (self._is_writing or self._wake.is_set())

    def wake(self) -> None:
        """Tell the thread that a tile has come."""
        self._wake.set()

    def finish(self) -> None:
        """End the thread and write the rows that are left; all tiles must be there. Raises its error."""
        self._end()
        if self._error is not None:
            raise self._error
        self._assembler.advance(self._done)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        if self._error is not None:
            raise self._error from None  # rather than the StoppedError that followed from it

    def _end(self) -> None:
        self._ending = True
        self._wake.set()
        self._thread.wait()

    def _write(self) -> None:
        try:
            while not self._ending:
                self._wake.wait(_POLL_SECONDS)
                self._is_writing = True  # before the next line: in between it would look idle
                self._wake.clear()
                if not self._ending:
                    self._assembler.advance(self._done, lambda: self._ending)
                self._is_writing = False
        except BaseException as error:  # raised again by the caller's thread
            self._error = error
            self._stop.set()
