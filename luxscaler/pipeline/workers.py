"""Threads that are there from the start, for a server's work.

Not concurrent.futures' pool: that one starts its threads when work comes, in the middle of a prediction,
where a cancel of Cog's may hit the start; and Python waits for its threads when the process is told to end.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")


class Workers:
    """So many threads; they end with the process, whatever they do."""

    def __init__(self, count: int) -> None:
        """Returns when all of them run."""
        self._waiting: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        for number in range(count):
            threading.Thread(target=self._work, name=f"tile-{number}", daemon=True).start()

    def submit(self, work: Callable[[], Result]) -> "Future[Result]":
        """Have it done by the next thread that is free; one that is cancelled before is not begun."""
        future: Future[Result] = Future()
        self._waiting.put((future, work))
        return future

    def _work(self) -> None:
        while True:
            future, work = self._waiting.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = work()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
                del result
            del future, work  # what a thread holds while it waits for more is held for long
