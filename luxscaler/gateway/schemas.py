"""The model's OpenAPI document, from the first container that has one; asked again until there is one."""

from collections.abc import Sequence

from luxscaler.gateway.cog_client import CogClient
from luxscaler.gateway.prediction import Json

UNKNOWN: Json = {
    "openapi": "3.0.2",
    "info": {"title": "Cog", "version": "0.1.0"},
    "paths": {},
    "components": {"schemas": {"Input": {"type": "object", "title": "Input"}, "Output": {"title": "Output"}}},
}
"""For clients, while no container has a schema: Cog makes one only when it builds the container."""


async def container_schema(cogs: Sequence[CogClient]) -> Json | None:
    """The schema, or None while there is none."""
    for cog in cogs:
        found = await cog.schema()
        if found is not None:
            return found
    return None


async def container_cog_version(cogs: Sequence[CogClient]) -> str:
    """The Cog version of the first container that answers."""
    for cog in cogs:
        found = await cog.cog_version()
        if found:
            return found
    return "unknown"
