"""Clocks for tests, so that expiry, deadlines, limits and retries need no waiting.

ManualClock     stands still until a test moves it; whoever sleeps waits for that
JumpingClock    whoever sleeps makes the time pass, at once
"""

import asyncio
import threading
import time
from dataclasses import dataclass

from luxscaler.clock import Clock

START = 1_800_000_000.0


class ManualClock(Clock):
    """For code that runs beside the test; may be moved from any thread."""

    def __init__(self, now: float = START) -> None:
        self.time = now
        self._lock = threading.Lock()
        self._sleepers: list[_Sleeper] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.wait(threading.Event(), seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        end = self.time + seconds
        while self.time < end and not event.wait(0.002):
            pass
        return event.is_set()

    async def sleep_async(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        with self._lock:
            sleeper = _Sleeper(self.time + seconds, asyncio.get_running_loop(), asyncio.Event())
            self._sleepers.append(sleeper)
        try:
            await sleeper.event.wait()
        finally:
            with self._lock:
                self._sleepers.remove(sleeper)

    def advance(self, seconds: float) -> None:
        """Let time pass, and wake who has slept long enough."""
        with self._lock:
            self.time += seconds
            for sleeper in self._sleepers:
                if sleeper.until <= self.time:
                    sleeper.loop.call_soon_threadsafe(sleeper.event.set)


@dataclass(eq=False)
class _Sleeper:
    """A coroutine that waits for the clock."""

    until: float
    loop: asyncio.AbstractEventLoop
    event: asyncio.Event


class JumpingClock(Clock):
    """For code that the test calls."""

    def __init__(self, now: float = START) -> None:
        self.time = now
        self._lock = threading.Lock()

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.time += seconds
        time.sleep(0)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        if not event.is_set():
            self.sleep(seconds)
        return event.is_set()

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)
        await asyncio.sleep(0)
