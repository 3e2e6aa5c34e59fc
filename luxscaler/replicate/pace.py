"""How fast calls may be made, and pauses that end when the user wants to stop.

What a server says about its limits is told to `Limiter.hold`.
"""

import threading
from dataclasses import dataclass, field

from luxscaler.clock import Clock
from luxscaler.errors import StoppedError

LONGEST_HOLD = 300.0
"""Seconds. A server that asks for more is asked again then."""


@dataclass(frozen=True)
class Pace:
    """A clock whose pauses end when the user wants to stop."""

    stop: threading.Event = field(default_factory=threading.Event)
    clock: Clock = field(default_factory=Clock)

    def now(self) -> float:
        """Seconds since 1970."""
        return self.clock.now()

    def pause(self, seconds: float) -> None:
        """Wait so long. Raises StoppedError when the user wants to stop."""
        if self.clock.wait(self.stop, max(seconds, 0.0)):
            raise StoppedError("stopped")


class Limiter:
    """Spreads calls evenly over a minute. Shared by all threads."""

    def __init__(self, per_minute: float, clock: Clock) -> None:
        self._interval = 60.0 / per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._next = 0.0
        self._last = 0.0
        """The clock's time as it was read last."""

    def wait(self, pace: Pace) -> None:
        """Wait for this caller's turn. Raises StoppedError when the user wants to stop."""
        with self._lock:
            now = self._now()
            turn = max(now, self._next)
            self._next = turn + self._interval
        if turn > now:
            pace.pause(turn - now)

    def hold(self, seconds: float) -> None:
        """Let no call through for so long, because the server asks for it."""
        with self._lock:
            until = self._now() + min(max(seconds, 0.0), LONGEST_HOLD)
            self._next = max(self._next, until)

    def _now(self) -> float:
        """The clock's time. If it was set back, the next turn moves with it, or all would wait for it."""
        now = self._clock.now()
        self._next -= max(self._last - now, 0.0)
        self._last = now
        return now
