"""Runs a console under uvicorn until it is asked to stop."""

import asyncio
from collections.abc import Callable

import uvicorn

from luxscaler.clock import Clock
from luxscaler.console.app import make_app
from luxscaler.console.settings import Settings
from luxscaler.console.state import running_console
from luxscaler.errors import ConsoleError

STOP_SECONDS = 2
"""Event streams are ended after so long."""


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def main_loop(self) -> None:
        """uvicorn's, once it listens."""
        self._ready()
        await super().main_loop()


def serve(settings: Settings, ready: Callable[[], None]) -> None:
    """Until Ctrl-C or SIGTERM; `ready` is called when it listens. Raises ConsoleError if it cannot work."""
    with running_console(settings, Clock()) as console:
        config = uvicorn.Config(
            make_app(console),
            host=settings.host,
            port=settings.port,
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=STOP_SECONDS,
            server_header=False,
            proxy_headers=False,  # webhooks.py reads them, from proxies that are trusted
        )
        try:
            _Server(config, ready).run()
        except (KeyboardInterrupt, asyncio.CancelledError):  # uvicorn has stopped in good order
            return
        except SystemExit as error:  # uvicorn's way of saying that it could not start
            raise ConsoleError(f"cannot listen on {settings.host} port {settings.port}") from error
