"""A pool of threads that are started in advance, for a server's work.

concurrent.futures' pool starts its threads when work comes, in the middle of a prediction, where a cancel of
Cog's may interrupt the start; and Python waits for its threads when the process is to end.
"""

import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")
_Waiting = queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]
"""Work for the threads; None: one of them ends."""


class Workers:
    """A fixed number of threads, which end with this object or with the process, whatever they do."""

    def __init__(self, count: int) -> None:
        """Start `count` threads, and return when all of them run."""
        self._waiting: _Waiting = queue.SimpleQueue()
        for number in range(count):
            # A function, not a method: the threads must not keep this object.
            threading.Thread(target=_work, args=(self._waiting,), name=f"tile-{number}", daemon=True).start()
        weakref.finalize(self, _end, self._waiting, count).atexit = False

    def submit(self, work: Callable[[], Result]) -> "Future[Result]":
        """Have `work` done by the next free thread; work whose future is cancelled before is not begun."""
        future: Future[Result] = Future()
        self._waiting.put((future, work))
        return future


def _work(waiting: _Waiting) -> None:
    while (given := waiting.get()) is not None:
        future, work = given
        del given  # what a thread holds while it waits for more is held for long
        if future.set_running_or_notify_cancel():
            try:
                result = work()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
                del result
        del future, work


def _end(waiting: _Waiting, count: int) -> None:
    """Have the threads end once the waiting work is done."""
    for _ in range(count):
        waiting.put(None)
