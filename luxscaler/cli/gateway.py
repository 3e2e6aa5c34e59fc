"""`luxscaler gateway`: options, environment and secrets, then a running server.

Its libraries, the extra `gateway`, are imported only when it runs.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from luxscaler.cli.terminal import err, one_line_errors, out, show_log
from luxscaler.errors import GatewayError

TOKEN_VARIABLE = "LUXSCALER_GATEWAY_TOKEN"  # noqa: S105 - a variable's name
_LIMITS = "Limits"
DEFAULT_DATA = Path("~/.local/share/luxscaler/gateway")


def gateway(
    cog: Annotated[
        list[str] | None, typer.Option(help="Address of a Cog container; several may be given.")
    ] = None,
    trainer: Annotated[
        list[str] | None, typer.Option(help="Address of a Cog server in train mode; several may be given.")
    ] = None,
    data: Annotated[
        Path, typer.Option(help="Folder of the database, the files and the keys.")
    ] = DEFAULT_DATA,
    model: Annotated[str, typer.Option(help="owner/name to offer the containers as.")] = "",
    version: Annotated[str, typer.Option(help="64 hexadecimal digits; by the model's name if empty.")] = "",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 5100,
    token_file: Annotated[
        Path | None, typer.Option(help=f"File with the bearer token; {TOKEN_VARIABLE} is another way.")
    ] = None,
    public_url: Annotated[str, typer.Option(help="Address that replies name, without /v1.")] = "",
    cog_facing_url: Annotated[str, typer.Option(help="Address at which containers reach it.")] = "",
    inputs: Annotated[str, typer.Option(help="How a container gets an upload: url or data.")] = "url",
    outputs: Annotated[
        str, typer.Option(help="How a client gets a result: url, data, or auto for the official clients.")
    ] = "auto",
    webhook_allow: Annotated[
        str, typer.Option(help="Networks that webhooks may go to beside public addresses; any: all.")
    ] = "",
    rate_limits: Annotated[
        bool, typer.Option(help="Refuse what Replicate would refuse.", rich_help_panel=_LIMITS)
    ] = False,
    creates_per_minute: Annotated[
        int, typer.Option(help="With --rate-limits.", rich_help_panel=_LIMITS)
    ] = 600,
    retention: Annotated[
        float, typer.Option(help="Seconds for which a result is kept.", rich_help_panel=_LIMITS)
    ] = 3600.0,
) -> None:
    """Run a gateway until it is told to stop. typer reads the options from the signature."""
    with one_line_errors():
        try:
            from luxscaler.gateway import keys, server, settings  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise GatewayError(
                f"{error.name} is not installed: pip install 'luxscaler[gateway]' brings it"
            ) from error

        if inputs not in ("url", "data"):
            raise GatewayError(f"--inputs is url or data, got {inputs!r}")
        if outputs not in ("auto", "url", "data"):
            raise GatewayError(f"--outputs is auto, url or data, got {outputs!r}")
        chosen = settings.Settings(
            tuple(cog or ()),
            data.expanduser(),
            trainers=tuple(trainer or ()),
            model=model or settings.DEFAULT_MODEL,
            version=version,
            host=host,
            port=port,
            public_url=public_url,
            cog_facing_url=cog_facing_url,
            inputs="url" if inputs == "url" else "data",
            outputs="url" if outputs == "url" else "data" if outputs == "data" else "auto",
            webhook_allow=webhook_allow,
            rate_limits=rate_limits,
            creates_per_minute=creates_per_minute,
            retention_seconds=retention,
        )
        token = keys.read_token_file(token_file) if token_file else os.environ.get(TOKEN_VARIABLE, "")
        server.check_bind(chosen, own_token=bool(token))
        secrets = keys.load_keys(chosen.data, token)
        place = "as given" if token else f"in {chosen.data / keys.TOKEN_FILE}"
        out.print(
            f"{chosen.base_url}/v1 serves {chosen.model}:{chosen.version_id}; the token is {place}",
            soft_wrap=True,
            markup=False,
        )
        show_log("luxscaler.gateway")
        server.serve(chosen, secrets)
        err.print("the gateway has stopped")
