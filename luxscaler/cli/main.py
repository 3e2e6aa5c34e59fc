"""The `luxscaler` command: a terminal around the pipeline and the picture reader.

Parses options, draws progress and sets the exit status: 0 done, 1 a LuxScaler error, 2 bad usage.
PyTorch is imported only by the commands that need it, so that `--help` answers at once.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from luxscaler import __version__
from luxscaler.cli import gateway, jobs, server, weights
from luxscaler.cli.publish import publish
from luxscaler.cli.terminal import one_line_errors, out, prepare_streams
from luxscaler.cli.train import train
from luxscaler.cli.upscale import upscale
from luxscaler.spinning import spin_briefly

app = typer.Typer(
    help="Upscale pictures and expand their dynamic range.", no_args_is_help=True, add_completion=False
)
app.add_typer(weights.app, name="weights")
app.command(help="Offer running Cog containers as Replicate's HTTP API, at http://HOST:PORT/v1.")(
    gateway.gateway
)
app.add_typer(jobs.app, name="jobs")
app.command(help="Run the console: Replicate's jobs and spending, at http://HOST:PORT.")(server.server)
app.command(help="Upscale IN and write OUT.")(upscale)
app.command(help="Train a network on the folder PICTURES and write it to OUT.")(train)
app.command(help="Publish FILE at the Hugging Face Hub, in S3-compatible storage, in a folder.")(publish)


@app.command()
def info(file: Annotated[Path, typer.Argument(metavar="FILE", help="A picture.")]) -> None:
    """Say what a picture is: size, depth, colour space, range in stops."""
    with one_line_errors():
        from luxscaler.cli.info import report  # noqa: PLC0415

        for name, value in report(file):
            out.print(f"{name:<12}{value}", soft_wrap=True, markup=False)


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"luxscaler {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Upscale pictures and expand their dynamic range."""


def main() -> None:
    """Entry point of the `luxscaler` command."""
    spin_briefly()
    prepare_streams()
    try:
        app(prog_name="luxscaler")
    except BrokenPipeError:  # whoever reads our words has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
