"""One running Cog container, for predictions or trainings, asynchronously: every outcome is a value.

That value says whether the container may have worked. Runs are asked for with a waiting PUT. While the
connection stands, Cog works; a connection that breaks tells both sides: Cog cancels, the gateway knows that
it lost the container. Polling would need Cog to keep results, which it does not. Progress (start, logs)
comes by Cog's webhooks, best effort; so does the result (completed), again and again for a while, which
finds a gateway that was killed and has started anew.
"""

from dataclasses import dataclass
from pathlib import Path

import httpx

from luxscaler.cog.messages import (
    CONNECT_SECONDS,
    SHORT_SECONDS,
    Json,
    RunKind,
    health_in,
    run_url,
    without_password,
)
from luxscaler.cog.reply import Reply, ReplyError, ReplyReader
from luxscaler.cog.status import Health
from luxscaler.errors import one_line

_MAX_ERROR_BYTES = 4096
_NOT_NOW = (httpx.codes.CONFLICT, httpx.codes.SERVICE_UNAVAILABLE)


@dataclass(frozen=True)
class NotTaken:
    """The container surely did not start the run: another may, or the same one later."""

    reason: str


@dataclass(frozen=True)
class Lost:
    """The run may have been done, wholly or in part, and its result is lost."""

    reason: str


Outcome = NotTaken | Lost | Reply


class AsyncCogClient:
    """One container, for one event loop."""

    def __init__(
        self, url: str, http: httpx.AsyncClient, seconds: float, kind: RunKind = "predictions"
    ) -> None:
        """seconds: for a run. kind: what its server was started for (Cog's `--x-mode`)."""
        self.kind = kind
        self._url, self.url = url.rstrip("/"), without_password(url)
        """The address without a password: it is stored, and shown to clients."""
        self._http = http
        self._timeout = httpx.Timeout(seconds, connect=CONNECT_SECONDS)

    async def health(self) -> Health:
        """The state in its health check; UNREACHABLE when no Cog server answers."""
        try:
            answer = await self._http.get(f"{self._url}/health-check", timeout=SHORT_SECONDS)
        except httpx.HTTPError:
            return Health.UNREACHABLE
        return health_in(answer.content)

    async def schema(self) -> Json | None:
        """The container's OpenAPI document, if it has one."""
        found = await self._json("openapi.json")
        return found if found and "components" in found else None

    async def cog_version(self) -> str:
        """Cog's version, e.g. "0.23.1"; empty if there is no answer."""
        found = await self._json("")
        return str((found or {}).get("cog_version", ""))

    async def cancel(self, name: str) -> bool:
        """Cancel a run, whose reply then says `canceled`; whether the container knew it."""
        try:
            url = f"{run_url(self._url, name, self.kind)}/cancel"
            answer = await self._http.post(url, timeout=SHORT_SECONDS)
        except httpx.HTTPError:
            return False
        return answer.is_success

    async def run(self, name: str, inputs: Json, progress: str, outputs: Path) -> Outcome:
        """Run a prediction or training to its end. Raises OSError when a file cannot be written.

        progress: address that the container tells of its start and its logs. outputs: a folder for files.
        """
        body = {"input": inputs, "webhook": progress, "webhook_events_filter": ["start", "logs", "completed"]}
        url = run_url(self._url, name, self.kind)
        try:
            async with self._http.stream("PUT", url, json=body, timeout=self._timeout) as answer:
                if answer.status_code in _NOT_NOW:
                    return NotTaken(f"busy or not ready ({answer.status_code})")
                if answer.status_code != httpx.codes.OK:
                    return Lost(f"it answered {answer.status_code}: {await _beginning(answer)}")
                with ReplyReader(outputs) as reader:
                    async for piece in answer.aiter_bytes():
                        reader.feed(piece)
                    return reader.end()
        except ReplyError as error:
            return Lost(f"its reply cannot be read: {error}")
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return NotTaken(f"cannot be reached ({_named(error)})")
        except httpx.HTTPError as error:
            return Lost(_named(error))

    async def _json(self, path: str) -> Json | None:
        try:
            answer = await self._http.get(f"{self._url}/{path}", timeout=SHORT_SECONDS)
            found = answer.json()
        except (httpx.HTTPError, ValueError):
            return None
        return found if isinstance(found, dict) else None


async def _beginning(answer: httpx.Response) -> str:
    """The beginning of an error's body, on one line."""
    text = b""
    async for piece in answer.aiter_bytes():
        text += piece
        if len(text) > _MAX_ERROR_BYTES:
            break
    return one_line(text[:_MAX_ERROR_BYTES].decode("utf-8", "replace"))


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
