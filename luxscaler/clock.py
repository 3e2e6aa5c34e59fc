"""Time as a value that tests can replace: what clients and the gateway wait by and write down."""

import asyncio
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime


class Clock:
    """This machine's time. Tests have clocks that stand still, or that jump while somebody waits."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Let time pass until the event; whether it came."""
        return event.wait(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Let time pass, while the event loop goes on."""
        await asyncio.sleep(seconds)


def backoff(first: float, longest: float = float("inf"), factor: float = 2.0) -> Iterator[float]:
    """Pauses between attempts, in seconds, without end: `first`, each next `factor` times longer, up to
    `longest`."""
    pause = first
    while True:
        yield pause
        pause = min(factor * pause, longest)


def iso(seconds: float | None) -> str | None:
    """ISO 8601 in UTC to the microsecond, as the API writes times: 2026-01-02T03:04:05.678901Z."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def from_iso(text: object) -> float | None:
    """Seconds since 1970; a time without a zone is UTC. None: it is no ISO 8601."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
