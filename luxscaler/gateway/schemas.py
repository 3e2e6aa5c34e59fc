"""The model's OpenAPI document and Cog's version, as the first container that answers tells them."""

from collections.abc import Sequence

from luxscaler.clock import Clock
from luxscaler.cog.async_client import AsyncCogClient
from luxscaler.cog.messages import Json

FRESH_SECONDS = 10.0
"""For so long an answer is used, also a missing one: creates should not wait for containers each time."""
UNKNOWN: Json = {
    "openapi": "3.0.2",
    "info": {"title": "Cog", "version": "0.1.0"},
    "paths": {},
    "components": {"schemas": {"Input": {"type": "object", "title": "Input"}, "Output": {"title": "Output"}}},
}
"""For clients, while no container has a schema: Cog makes one only when it builds the container."""


class Schemas:
    """What the containers say about the model."""

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
        """E.g. 0.23.1."""
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
