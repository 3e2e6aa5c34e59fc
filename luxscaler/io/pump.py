"""Feeds an encoder that reads its bands from an iterator: the encoder runs in a thread, behind a short queue.

The caller hands the bands over one by one. Either side can stop at any moment: the other one is told, and no
thread stays behind.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from luxscaler.threads import Worker

Band = TypeVar("Band")
_WAITING = 1
"""Bands between the two sides; one more is being made, and one is being encoded."""


class _AbortedError(Exception):
    """Raised in the encoder when no more bands will come: it closes its file and ends."""


class Pump(Generic[Band]):
    """Runs `encode(bands)` in a thread; `bands` are what `put` is given."""

    def __init__(self, encode: Callable[[Iterator[Band]], None]) -> None:
        self._encode = encode
        self._changed = threading.Condition()
        self._queue: deque[Band] = deque()
        self._complete = self._aborted = self._ended = False
        self._error: BaseException | None = None
        self._thread = Worker(self._run, "encoder")
        self._thread.start()

    def put(self, band: Band) -> None:
        """Hand a band over, waiting until there is room. Raises what the encoder raised, or RuntimeError if
        the encoder ended early without an error."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._queue) < _WAITING or self._ended)
            if not self._ended:
                self._queue.append(band)
                self._changed.notify_all()
                return
        self._raise()
        raise RuntimeError("the encoder ended before the picture did")

    def finish(self) -> None:
        """Wait until all is encoded. Raises what the encoder raised."""
        with self._changed:
            self._complete = True
            self._changed.notify_all()
        self._thread.wait()
        self._raise()

    def abort(self) -> None:
        """Stop the encoder and wait for its end; what it raises no longer matters."""
        with self._changed:
            self._aborted = True
            self._queue.clear()
            self._changed.notify_all()
        self._thread.wait()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._encode(self._bands())
        except _AbortedError:
            pass
        except BaseException as error:  # handed to the other side
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._queue.clear()
                self._changed.notify_all()

    def _bands(self) -> Iterator[Band]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._complete or self._aborted)
                if self._aborted:
                    raise _AbortedError
                if not self._queue:
                    return
                band = self._queue.popleft()
                self._changed.notify_all()
            yield band
            del band  # else it stays in memory while this waits for the next
