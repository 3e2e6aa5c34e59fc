"""Talks to one Cog container. Every outcome is a value that says whether the container may have worked.

Predictions are asked for with a waiting PUT. While the connection stands, Cog works; a connection that breaks
tells both sides: Cog cancels, the gateway knows that it lost the container. Polling would need Cog to keep
results, which it does not. Progress (start, logs) comes by Cog's webhooks, best effort. The reply goes to a
file: it carries the result as base64. Queues, retries and statuses are not known here.
"""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from luxscaler.cog.data_urls import Json, lift_data_urls

CONNECT_SECONDS = 5.0
SHORT_SECONDS = 5.0
"""For calls that Cog answers at once."""
_MAX_ERROR_CHARACTERS = 500


@dataclass(frozen=True)
class NotTaken:
    """The container surely did not start it: another, or the same later, may."""

    reason: str


@dataclass(frozen=True)
class Lost:
    """It may have run, wholly or in part, and there is no result."""

    reason: str


@dataclass(frozen=True)
class Reply:
    """The container's last word; data URLs in it are files now."""

    document: Json


Outcome = NotTaken | Lost | Reply


class CogClient:
    """One container."""

    def __init__(self, url: str, http: httpx.AsyncClient, seconds: float) -> None:
        self.url = url.rstrip("/")
        self._http = http
        self._timeout = httpx.Timeout(seconds, connect=CONNECT_SECONDS)

    async def health(self) -> str:
        """Cog's word (READY, BUSY, STARTING, DEFUNCT, ...), or UNREACHABLE."""
        found = await self._json("health-check")
        return str(found.get("status", "UNREACHABLE")) if found else "UNREACHABLE"

    async def schema(self) -> Json | None:
        """The container's OpenAPI document, if it has one."""
        found = await self._json("openapi.json")
        return found if found and "components" in found else None

    async def cog_version(self) -> str:
        """E.g. 0.23.1; empty if it cannot be asked."""
        found = await self._json("")
        return str((found or {}).get("cog_version", ""))

    async def cancel(self, name: str) -> bool:
        """Whether the container knew the prediction; its waiting reply then says `canceled`."""
        try:
            answer = await self._http.post(f"{self._address(name)}/cancel", timeout=SHORT_SECONDS)
        except httpx.HTTPError:
            return False
        return answer.is_success

    async def predict(self, name: str, inputs: Json, progress: str, reply: Path, outputs: Path) -> Outcome:
        """Have it run to its end.

        progress: address that the container tells of its start and its logs.
        reply: a file to be written; outputs: a folder for the result's files.
        """
        body = {"input": inputs, "webhook": progress, "webhook_events_filter": ["start", "logs"]}
        try:
            async with self._http.stream(
                "PUT", self._address(name), json=body, timeout=self._timeout
            ) as answer:
                if answer.status_code in (409, 503):
                    return NotTaken(f"busy or not ready ({answer.status_code})")
                with reply.open("wb") as file:
                    async for chunk in answer.aiter_bytes():
                        file.write(chunk)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return NotTaken(f"cannot be reached ({_named(error)})")
        except httpx.HTTPError as error:
            return Lost(_named(error))
        if answer.status_code != 200:
            return Lost(f"it answered {answer.status_code}: {_text(reply)}")
        return await asyncio.to_thread(_read, reply, outputs)

    async def _json(self, path: str) -> Json | None:
        try:
            answer = await self._http.get(f"{self.url}/{path}", timeout=SHORT_SECONDS)
            found = answer.json()
        except (httpx.HTTPError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def _address(self, name: str) -> str:
        return f"{self.url}/predictions/{quote(name)}"


def _read(reply: Path, outputs: Path) -> Outcome:
    try:
        found: Any = lift_data_urls(reply, outputs)
    except ValueError as error:
        return Lost(f"its reply cannot be read: {error}")
    if not isinstance(found, dict) or found.get("status") not in ("succeeded", "failed", "canceled"):
        return Lost(f"its reply is no finished prediction: {json.dumps(found)[:_MAX_ERROR_CHARACTERS]}")
    return Reply(found)


def _text(path: Path) -> str:
    """The beginning of an error's body, on one line."""
    with path.open("rb") as file:
        return " ".join(file.read(_MAX_ERROR_CHARACTERS).decode("utf-8", "replace").split())


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
