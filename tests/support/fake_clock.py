"""Clocks for tests, so that expiry, deadlines, limits and retries need no waiting.

ManualClock     stands still until a test moves it; whoever sleeps waits for that
JumpingClock    whoever sleeps makes the time pass, at once
"""

import asyncio
import threading
import time

from luxscaler.clock import Clock

START = 1_800_000_000.0


class ManualClock(Clock):
    """For code that runs beside the test; may be moved from any thread."""

    def __init__(self, now: float = START) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        end = self.time + seconds
        while self.time < end:
            time.sleep(0.002)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        end = self.time + seconds
        while self.time < end and not event.wait(0.002):
            pass
        return event.is_set()

    async def sleep_async(self, seconds: float) -> None:
        end = self.time + seconds
        await asyncio.sleep(0)
        while self.time < end:
            await asyncio.sleep(0.002)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds


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
