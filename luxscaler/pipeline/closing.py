"""Whether the server in front of this process is shutting down.

Cog's server handles SIGTERM itself: it stops listening and then waits for its predictions, for as long as
they take, without telling the process that computes them. Who ends a container gives it ten seconds or so
and then kills it. What can be seen from here is that the server's port, open before, takes no connections
any more.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

GLANCE_SECONDS = 0.5
"""Between two looks."""
GRACE_SECONDS = 6.0
"""What is under way may take so long once the server shuts down: most tiles end in this time."""
_CONNECT_SECONDS = 2.0


class Closing:
    """Watches the port of the server on this machine."""

    def __init__(self, port: int) -> None:
        self.port = port

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Closing":
        """By PORT, as Cog's server reads it."""
        port = environment.get("PORT", "")
        return cls(int(port) if port.isdecimal() else 5000)

    async def expired(self) -> None:
        """Returns GRACE_SECONDS after the server has stopped listening; never if it never listened."""
        if not await self._listens():
            await asyncio.Event().wait()
        while await self._listens():
            await asyncio.sleep(GLANCE_SECONDS)
        await asyncio.sleep(GRACE_SECONDS)

    async def _listens(self) -> bool:
        """Also when it is too busy to answer: only a refusal says that nobody listens."""
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
