"""Runs a gateway under uvicorn until it is asked to stop."""

import uvicorn

from luxscaler.errors import GatewayError
from luxscaler.gateway.app import make_app
from luxscaler.gateway.keys import Keys
from luxscaler.gateway.settings import Settings

STOP_SECONDS = 2
"""Requests that wait for a prediction are ended after so long."""


def make_server(settings: Settings, keys: Keys) -> uvicorn.Server:
    """A server that is not running yet."""
    config = uvicorn.Config(
        make_app(settings, keys),
        host=settings.host,
        port=settings.port,
        access_log=False,  # it would hold the signatures of addresses
        log_level="warning",
        timeout_graceful_shutdown=STOP_SECONDS,
        server_header=False,
    )
    return uvicorn.Server(config)


def check_bind(settings: Settings, *, own_token: bool) -> None:
    """Raises GatewayError: others could connect, and nobody has said with which token."""
    if not settings.is_loopback and not own_token:
        raise GatewayError(
            f"--host {settings.host} lets other machines connect: give a token of your own, by --token-file "
            "or LUXSCALER_GATEWAY_TOKEN"
        )


def serve(settings: Settings, keys: Keys) -> None:
    """Until Ctrl-C or SIGTERM. Raises GatewayError if it cannot listen."""
    server = make_server(settings, keys)
    try:
        server.run()
    except KeyboardInterrupt:  # uvicorn has stopped in good order, and passes the signal on
        return
    except SystemExit as error:  # uvicorn's way of saying that it could not start
        raise GatewayError(f"cannot listen on {settings.host} port {settings.port}") from error
