"""Tiles upscaled by running Cog containers, one or many, given by their URLs.

    Tile → EXR → data URL → a container of pool.py → cog/client.py → EXR in a file → rgb, alpha

Nothing is paid here, so nothing needs to survive a crash but the name of the job, from which the ids of
predictions are made.
"""

import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from luxscaler.backends.base import CPU, MasterContext
from luxscaler.backends.cog.pool import Pool
from luxscaler.backends.cog.session import CogOptions, CogSession
from luxscaler.cog.client import CogClient, LostError, keep_alive_transport
from luxscaler.cog.status import Health
from luxscaler.errors import BackendError, InputError

_JOB = "cog.job"
_GLANCE_SECONDS = 0.05


class CogBackend:
    """Containers at `urls`, e.g. http://127.0.0.1:5000."""

    name = "cog"
    device = CPU

    def __init__(
        self,
        urls: Sequence[str],
        options: CogOptions | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """transport: for tests. Raises InputError for an address that is not an http or https URL."""
        if not urls:
            raise InputError("the backend cog needs the address of a container: cog (--cog http://HOST:PORT)")
        self._urls = [_checked(url) for url in dict.fromkeys(urls)]
        self._options = options or CogOptions()
        self._transport = transport

    @contextmanager
    def open(self, context: MasterContext) -> Iterator[CogSession]:
        """Check the health of every container, and wait for those whose setup runs.

        Raises BackendError, which names the containers that do not answer; broken ones are left out, unless
        all are broken. At the end connections are closed, which cancels what runs on them.
        """
        with (
            tempfile.TemporaryDirectory(prefix="luxscaler-") as folder,
            httpx.Client(transport=self._transport or keep_alive_transport()) as http,
        ):
            clients = [CogClient(url, http) for url in self._urls]
            pool = Pool(clients, self._options.look_again, self._options.all_lost)
            _wait_until_ready(pool, context, self._options.start)
            job = context.ledger.recall(_JOB) or uuid.uuid4().hex[:12]
            context.ledger.remember(_JOB, job)
            yield CogSession(pool, context, self._options, job, Path(folder))


def _wait_until_ready(pool: Pool, context: MasterContext, seconds: float) -> None:
    """Wait until no container says STARTING, for `seconds` at most.

    Raises BackendError if one does not answer, or none can be used.
    """
    deadline = time.monotonic() + seconds
    waiting, missing = list(pool.containers), list[str]()
    while waiting:
        context.raise_if_stopped()
        for pooled in list(waiting):
            try:
                health = pooled.client.health()
            except LostError as error:
                missing.append(f"{pooled.client.url}: {error}")
                waiting.remove(pooled)
                continue
            if health is Health.STARTING and time.monotonic() < deadline:
                continue
            waiting.remove(pooled)
            if health not in (Health.READY, Health.BUSY):
                pool.lose(pooled, f"its health check says {health}")
        if waiting:
            context.stop.wait(_GLANCE_SECONDS)
    if missing:
        raise BackendError(f"no answer from {len(missing)} Cog container(s): {'; '.join(missing)}")
    if not pool.alive:
        raise BackendError(f"no Cog container can be used: {pool.reasons()}")


def _checked(url: str) -> str:
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise InputError(f"the address of a Cog container is {url!r}: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.host:
        raise InputError(f"the address of a Cog container is {url!r}; it must start with http:// or https://")
    return url
