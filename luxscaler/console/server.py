"""Runs a console under uvicorn until it is asked to stop."""

import asyncio
from collections.abc import Callable
from typing import Any

import uvicorn

from luxscaler.clock import Clock
from luxscaler.console.app import make_app
from luxscaler.console.settings import Settings
from luxscaler.console.state import Console, running_console
from luxscaler.errors import ConsoleError
from luxscaler.gateway.connections import patient_config


class _Server(uvicorn.Server):
    """A server that calls `ready` once it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def main_loop(self) -> None:
        """Run uvicorn's loop; uvicorn calls it once it listens."""
        self._ready()
        await super().main_loop()


def make_config(settings: Settings, console: Console, **options: Any) -> uvicorn.Config:
    """How uvicorn runs a console that is at work. options: further ones of uvicorn's."""
    return patient_config(
        make_app(console),
        settings.host,
        settings.port,
        head_seconds=settings.head_seconds,
        max_connections=settings.max_connections,
        proxy_headers=False,  # webhooks.py reads them, from proxies that are trusted
        **options,
    )


def serve(settings: Settings, ready: Callable[[], None]) -> None:
    """Serve until Ctrl-C or SIGTERM. ready: called once it listens. Raises ConsoleError if it cannot work."""
    with running_console(settings, Clock()) as console:
        try:
            _Server(make_config(settings, console), ready).run()
        except (KeyboardInterrupt, asyncio.CancelledError):  # uvicorn has stopped in good order
            return
        except SystemExit as error:  # uvicorn's way of saying that it could not start
            raise ConsoleError(f"cannot listen on {settings.host} port {settings.port}") from error
