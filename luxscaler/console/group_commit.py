"""Writes small changes that come at the same time in one transaction, with one wait for the disk.

One thread takes all changes that wait, passes them to a function that writes them in one transaction, and
returns the answers once they are on disk. If the function fails for several changes, each is tried alone, so
that one that cannot be written does not affect the others.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Change = TypeVar("Change")
Answer = TypeVar("Answer")
_MOST = 500
"""Most changes in one transaction, so that other writers get their turn."""
_GATHER_SECONDS = 0.01


@dataclass
class _Entry(Generic[Change, Answer]):
    """One change that waits."""

    change: Change
    answer: "asyncio.Future[Answer]"
    loop: asyncio.AbstractEventLoop


class GroupCommit(Generic[Change, Answer]):
    """The thread that writes, between `start` and `stop`."""

    def __init__(self, write: Callable[[Sequence[Change]], Sequence[Answer]]) -> None:
        """write: stores all given changes or none; returns their answers in order. Called by one thread."""
        self._write = write
        self._news = threading.Condition()
        self._waiting: list[_Entry[Change, Answer]] = []
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="console-commit")

    def start(self) -> None:
        """Start the thread; `stop` has to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end the thread."""
        with self._news:
            self._stopped = True
            self._news.notify()
        self._thread.join()

    async def run(self, change: Change) -> Answer:
        """Wait until a change is on disk, and return its answer. Raises what `write` raises."""
        loop = asyncio.get_running_loop()
        entry: _Entry[Change, Answer] = _Entry(change, loop.create_future(), loop)
        with self._news:
            if self._stopped:
                raise RuntimeError("nothing is written any more")
            self._waiting.append(entry)
            self._news.notify()
        return await entry.answer

    def _run(self) -> None:
        while taken := self._taken():
            if len(taken) > 1:  # more are on their way: to wait for some costs less than to write each few
                taken += self._soon(_MOST - len(taken))
            try:
                answers: Sequence[Answer | Exception] = self._write([entry.change for entry in taken])
            except Exception as error:  # told to those that wait; the thread goes on
                answers = [error] if len(taken) == 1 else [self._alone(entry.change) for entry in taken]
            _tell(taken, answers)

    def _taken(self) -> list[_Entry[Change, Answer]]:
        """Wait for the entries to write next; none at the end."""
        with self._news:
            self._news.wait_for(lambda: self._waiting or self._stopped)
            taken, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
        return taken

    def _soon(self, most: int) -> list[_Entry[Change, Answer]]:
        """Further entries that arrive within a moment."""
        time.sleep(_GATHER_SECONDS)
        with self._news:
            taken, self._waiting = self._waiting[:most], self._waiting[most:]
        return taken

    def _alone(self, change: Change) -> Answer | Exception:
        try:
            return self._write([change])[0]
        except Exception as error:
            return error


def _tell(entries: Sequence[_Entry[Change, Answer]], answers: Sequence[Answer | Exception]) -> None:
    """Give each entry its answer; an event loop is woken once for all of its entries."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Answer], Answer | Exception]]] = {}
    for entry, answer in zip(entries, answers, strict=True):
        by_loop.setdefault(entry.loop, []).append((entry.answer, answer))
    for loop, told in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, told)


def _settle(told: "list[tuple[asyncio.Future[Answer], Answer | Exception]]") -> None:
    for future, answer in told:
        if future.done():  # whoever waited has gone
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
