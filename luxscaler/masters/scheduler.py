"""Keeps every worker of a backend busy with tiles, and tries failed tiles again, up to a limit.

Tiles are begun in the order given (row by row, so that the result can be written meanwhile), a new one as
soon as one is done, so that none waits in memory. The first error that no retry can mend ends the work; tiles
that are under way are then finished and kept, since they may be paid for.
"""

import heapq
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from luxscaler.backends.base import Output, Session, Tile
from luxscaler.errors import BackendError, StoppedError, TileError
from luxscaler.threads import Worker

_POLL_SECONDS = 0.2
"""How often a waiting thread looks whether the user has stopped the work."""
MAX_FREE_RETRIES = 1000
"""Most attempts at one tile that do not count (busy or lost containers), so that a fault ends some time."""


@dataclass(frozen=True)
class Work:
    """The functions that the scheduler calls; `cut`, `check` and `keep` run in the workers' threads."""

    cut: Callable[[int, int], Tile]
    """Gives the tile of a number, for an attempt (from 1)."""
    check: Callable[[Tile, Output], None]
    """Raises TileError when the output cannot be right."""
    keep: Callable[[Tile, Output], None]
    """Called with every tile that is done and checked."""
    retried: Callable[[int, TileError], None] = lambda _number, _error: None
    """Called with the number of a tile that failed and is tried again, and the error."""


@dataclass
class _State:
    """What the threads share, under one lock."""

    ready: list[int]
    """Tile numbers: a heap."""
    delayed: list[tuple[float, int]] = field(default_factory=list)
    """(not before, tile number): a heap."""
    attempts: dict[int, int] = field(default_factory=dict)
    free: dict[int, int] = field(default_factory=dict)
    under_way: int = 0
    error: BaseException | None = None


class Scheduler:
    """Runs tiles on a backend."""

    def __init__(
        self,
        session: Session,
        work: Work,
        *,
        name: str,
        jobs: int | None = None,
        attempts: int = 3,
        stop: threading.Event | None = None,
    ) -> None:
        """name: the backend's, for messages. jobs: most tiles at once; None: as many as there are workers.
        attempts: tries for a tile. stop: ends the work once it is set.
        """
        self._session = session
        self._name = name
        self._work = work
        self._workers = min(jobs, session.workers) if jobs else session.workers
        self._budget = attempts
        self._stop = stop or threading.Event()
        self._changed = threading.Condition()
        self._state = _State([])

    def run(self, tiles: Sequence[int]) -> None:
        """Run the tiles of those numbers, until all are done.

        Raises the error that ended the work, a BackendError for a tile that failed too often, or StoppedError
        once `stop` is set.
        """
        self._state = _State(sorted(tiles))
        workers = [Worker(self._worker, f"tiles-{i}") for i in range(min(self._workers, len(tiles)))]
        try:
            for worker in workers:
                worker.start()
            for worker in workers:
                while not worker.ended_within(_POLL_SECONDS):  # with a time-out, so that Ctrl-C gets through
                    pass
        except KeyboardInterrupt:
            self._stop.set()
            for worker in workers:
                worker.wait()
            raise StoppedError("stopped") from None
        if self._state.error is not None:
            raise self._state.error
        if self._stop.is_set():
            raise StoppedError("stopped")

    def _worker(self) -> None:
        while (number := self._take()) is not None:
            error: BaseException | None = None
            try:
                try:
                    self._attempt(number)
                except TileError as failure:
                    error = self._put_back(number, failure)
            except BaseException as failure:  # raised again in the caller's thread
                error = failure
            with self._changed:
                self._state.under_way -= 1
                if error is not None and self._state.error is None:
                    self._state.error = error
                self._changed.notify_all()

    def _attempt(self, number: int) -> None:
        tile = self._work.cut(number, self._state.attempts.get(number, 0) + 1)
        output = self._session.run(tile)
        self._work.check(tile, output)
        self._work.keep(tile, output)

    def _take(self) -> int | None:
        """The next tile; None when there is nothing more to begin."""
        state = self._state
        with self._changed:
            while not self._stop.is_set() and state.error is None:
                now = time.monotonic()
                while state.delayed and state.delayed[0][0] <= now:
                    heapq.heappush(state.ready, heapq.heappop(state.delayed)[1])
                if state.ready:
                    state.under_way += 1
                    return heapq.heappop(state.ready)
                if not state.delayed and not state.under_way:
                    break
                # Tiles that are under way may come back to be done again.
                self._changed.wait(_POLL_SECONDS)
        return None

    def _put_back(self, number: int, failure: TileError) -> BackendError | None:
        """Have the tile tried again; or return the error, if it has failed too often."""
        with self._changed:
            counts = self._state.attempts if failure.counts else self._state.free
            counts[number] = counts.get(number, 0) + 1
            most = self._budget if failure.counts else MAX_FREE_RETRIES
            if counts[number] >= most:
                error = BackendError(
                    f"{self._name}: tile {number} failed {counts[number]} times; the last: {failure}"
                )
                error.__cause__ = failure
                return error
            heapq.heappush(self._state.delayed, (time.monotonic() + failure.delay, number))
        self._work.retried(number, failure)
        return None
