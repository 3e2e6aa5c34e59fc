"""One gateway put together: every part built from settings, keys and a clock, none of them global."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import httpx
from fastapi import Depends
from starlette.requests import Request

from luxscaler.clock import Clock
from luxscaler.cog.async_client import AsyncCogClient
from luxscaler.gateway.addresses import Addresses
from luxscaler.gateway.background import TaskSet
from luxscaler.gateway.expiry import expire_repeatedly
from luxscaler.gateway.file_store import FileStore
from luxscaler.gateway.keys import Keys
from luxscaler.gateway.lifecycle import Lifecycle
from luxscaler.gateway.limits import RateLimit, Throttle
from luxscaler.gateway.runner import Parts, Runner
from luxscaler.gateway.schemas import Schemas
from luxscaler.gateway.serialize import Serializer
from luxscaler.gateway.settings import DATABASE, Settings
from luxscaler.gateway.store import Store
from luxscaler.gateway.webhooks import Notifier
from luxscaler.web.post import Poster
from luxscaler.web.reach import Reach


@dataclass(frozen=True)
class Gateway:
    """The parts of a gateway that the routes use."""

    parts: Parts
    keys: Keys
    serializer: Serializer
    runner: Runner
    schemas: Schemas
    training_schemas: Schemas
    """The schema of the containers for trainings."""
    creates: RateLimit
    calls: RateLimit
    wrong_tokens: Throttle
    reach: Reach
    """Where webhooks may go."""

    @property
    def settings(self) -> Settings:
        """The gateway's settings."""
        return self.parts.settings

    def now(self) -> float:
        """Seconds since 1970."""
        return self.parts.clock.now()


def check_data(settings: Settings) -> None:
    """Raise GatewayError if the folder or the database cannot be used; uvicorn would hide the reason."""
    FileStore(settings.data)
    Store(settings.data / DATABASE).close()


@asynccontextmanager
async def running_gateway(settings: Settings, keys: Keys, clock: Clock) -> AsyncIterator[Gateway]:
    """A running gateway; its tasks and connections end with the block."""
    files = FileStore(settings.data)
    store = Store(settings.data / DATABASE)
    # No keep-alive: a connection that a container has closed since would look like a lost container.
    limits = httpx.Limits(max_keepalive_connections=0)
    poster = Poster(settings.webhook_reach)
    async with httpx.AsyncClient(trust_env=False, limits=limits, cookies=_NoCookies()) as http:
        addresses = Addresses(settings, keys.address_key)
        serializer = Serializer(settings, addresses, files)
        notifier = Notifier(settings, keys, clock, store, poster, serializer.delivered)
        parts = Parts(settings, clock, store, files, addresses, Lifecycle(store, clock, notifier))
        cogs = tuple(AsyncCogClient(url, http, settings.prediction_seconds) for url in settings.cogs)
        trainers = tuple(
            AsyncCogClient(url, http, settings.training_seconds, "trainings") for url in settings.trainers
        )
        runner = Runner(parts, (*cogs, *trainers))
        tasks = TaskSet()
        try:
            notifier.resume()
            runner.start()
            tasks.add(expire_repeatedly(parts, runner))
            yield Gateway(
                parts,
                keys,
                serializer,
                runner,
                Schemas(cogs or trainers, clock),
                Schemas(trainers, clock),
                creates=RateLimit(settings.creates_per_minute),
                calls=RateLimit(settings.calls_per_minute),
                wrong_tokens=Throttle(settings.wrong_tokens_per_minute),
                reach=settings.webhook_reach,
            )
        finally:
            await tasks.stop()
            await runner.stop()
            await notifier.stop()
            poster.close()
            store.close()


class _NoCookies(httpx.Cookies):
    """A cookie jar that stays empty."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Keep no cookie of an answer."""


async def gateway_of(request: Request) -> Gateway:
    """The gateway that a request came to."""
    found = request.app.state.gateway
    assert isinstance(found, Gateway)  # noqa: S101 - app.py put it there
    return found


Here = Annotated[Gateway, Depends(gateway_of)]
"""The gateway as a parameter of a route."""
