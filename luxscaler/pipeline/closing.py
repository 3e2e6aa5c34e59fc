"""Whether the server in front of this process is shutting down.

Cog's server handles SIGTERM itself: it stops listening and then waits for its predictions, for as long as
they take, without telling the process that computes them. A container usually has ten seconds before it is
killed. The one sign that this process can see is that the server's port, open before, refuses connections.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

GLANCE_SECONDS = 0.5
"""Seconds between two tries to connect."""
GRACE_SECONDS = 6.0
"""How long predictions may go on once the server shuts down: most tiles end in this time."""
_CONNECT_SECONDS = 2.0


class Closing:
    """Watches the port of the server on this machine."""

    def __init__(self, port: int) -> None:
        self.port = port

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Closing":
        """Watch the port that PORT names, as Cog's server reads it."""
        port = environment.get("PORT", "")
        return cls(int(port) if port.isdecimal() else 5000)

    async def expired(self) -> None:
        """Return GRACE_SECONDS after the server stopped listening; never if it did not listen at first."""
        if not await self._listens():
            await asyncio.Event().wait()
        while await self._listens():
            await asyncio.sleep(GLANCE_SECONDS)
        await asyncio.sleep(GRACE_SECONDS)

    async def _listens(self) -> bool:
        """Whether somebody listens; also true if no answer comes in time, since only a refusal says no."""
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except ConnectionRefusedError:
            return False
        except (OSError, TimeoutError):
            return True
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return True
