"""Runs a gateway under uvicorn until it is asked to stop."""

from typing import Any

import uvicorn

from luxscaler.errors import GatewayError
from luxscaler.gateway.app import make_app
from luxscaler.gateway.connections import patient_config
from luxscaler.gateway.keys import Keys, only_gateway
from luxscaler.gateway.settings import Settings
from luxscaler.gateway.state import check_data


def make_server(settings: Settings, keys: Keys) -> uvicorn.Server:
    """A server that is not running yet."""
    return uvicorn.Server(make_config(settings, make_app(settings, keys)))


def make_config(settings: Settings, app: Any) -> uvicorn.Config:
    """How uvicorn runs the app."""
    return patient_config(
        app,
        settings.host,
        settings.port,
        head_seconds=settings.head_seconds,
        max_connections=settings.max_connections,
    )


def check_bind(settings: Settings, *, own_token: bool) -> None:
    """Raise GatewayError where other machines can connect and no token was chosen."""
    if not settings.is_loopback and not own_token:
        raise GatewayError(
            f"--host {settings.host} lets other machines connect: give a token of your own, by --token-file "
            "or LUXSCALER_GATEWAY_TOKEN"
        )


def serve(settings: Settings, keys: Keys) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Raises GatewayError if it cannot listen, or its folder cannot be used or is another gateway's.
    """
    with only_gateway(settings.data):
        check_data(settings)
        server = make_server(settings, keys)
        try:
            server.run()
        except KeyboardInterrupt:  # uvicorn has stopped in good order, and passes the signal on
            return
        except SystemExit as error:  # uvicorn's way of saying that it could not start
            raise GatewayError(f"cannot listen on {settings.host} port {settings.port}") from error
