"""A clock that stands still until a test moves it: for expiry, deadlines and throttling without waiting."""

import asyncio

START = 1_800_000_000.0


class ManualClock:
    """luxscaler.gateway.clock.Clock; may be moved from another thread than the gateway's."""

    def __init__(self, now: float = START) -> None:
        self.time = now

    def now(self) -> float:
        """Seconds since 1970."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Until the clock has been moved that far; looks often, since another thread moves it."""
        end = self.time + seconds
        await asyncio.sleep(0)
        while self.time < end:
            await asyncio.sleep(0.002)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds
