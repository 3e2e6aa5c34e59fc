"""The model's OpenAPI document and Cog's version, from the first container that answers."""

from collections.abc import Sequence

from luxscaler.clock import Clock
from luxscaler.cog.async_client import AsyncCogClient
from luxscaler.cog.messages import Json

FRESH_SECONDS = 10.0
"""How long an answer is reused, also a missing one, so that not every create waits for containers."""
UNKNOWN: Json = {
    "openapi": "3.0.2",
    "info": {"title": "Cog", "version": "0.1.0"},
    "paths": {},
    "components": {"schemas": {"Input": {"type": "object", "title": "Input"}, "Output": {"title": "Output"}}},
}
"""For clients, while no container has a schema: Cog makes one only when it builds the container."""


class Schemas:
    """Asks containers about their model, and remembers the answer for a while."""

    def __init__(self, cogs: Sequence[AsyncCogClient], clock: Clock) -> None:
        self._cogs, self._clock = cogs, clock
        self._asked_at = float("-inf")
        self._found: Json | None = None

    async def schema(self) -> Json | None:
        """The OpenAPI document, or None while there is none."""
        if not self._asked_at <= self._clock.now() < self._asked_at + FRESH_SECONDS:
            self._found = await self._ask()
            self._asked_at = self._clock.now()
        return self._found

    async def cog_version(self) -> str:
        """Cog's version, e.g. "0.23.1"; empty while no container answers."""
        for cog in self._cogs:
            found = await cog.cog_version()
            if found:
                return found
        return "unknown"

    async def _ask(self) -> Json | None:
        for cog in self._cogs:
            found = await cog.schema()
            if found is not None:
                return found
        return None
