"""The `luxscaler` command: a terminal around the pipeline and the picture reader.

Parses options, draws progress and sets the exit status: 0 done, 1 a LuxScaler error, 2 bad usage.
PyTorch is imported only by the commands that need it, so that `--help` answers at once.
"""

import errno
import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from luxscaler import __version__
from luxscaler.cli import gateway, jobs, models, server, weights
from luxscaler.cli.commands import Command, Group, UpscaleCommand, wants_json
from luxscaler.cli.completion import completion
from luxscaler.cli.defaults import default_map
from luxscaler.cli.doctor import doctor
from luxscaler.cli.publish import publish
from luxscaler.cli.terminal import (
    JsonOption,
    err,
    grouped,
    one_line_errors,
    out,
    prepare_streams,
    standard_input,
    tell,
    write_event,
)
from luxscaler.cli.train import train
from luxscaler.cli.upscale import upscale
from luxscaler.spinning import spin_briefly

_EXAMPLE = "For a start: luxscaler upscale photo.jpg big.png --fetch. What works here: luxscaler doctor."
app = typer.Typer(
    cls=Group,
    help="Upscale pictures and expand their dynamic range.",
    epilog=_EXAMPLE,
    no_args_is_help=True,
    add_completion=False,
)
app.add_typer(weights.app, name="weights")
app.add_typer(models.app, name="models")
app.command(
    cls=Command, help="Offer running Cog containers as Replicate's HTTP API, at http://HOST:PORT/v1."
)(gateway.gateway)
app.add_typer(jobs.app, name="jobs")
app.command(
    cls=Command, help="Run the console, a web page for upscaling, training and jobs, at http://HOST:PORT."
)(server.server)
app.command(cls=UpscaleCommand, help="Upscale pictures.")(upscale)
app.command(cls=Command)(doctor)
app.command(cls=Command)(completion)
app.command(cls=Command, help="Train a network on the folder PICTURES and write it to OUT.")(train)
app.command(cls=Command, help="Publish FILE at the Hugging Face Hub, in S3-compatible storage, in a folder.")(
    publish
)

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Errors of writing to standard output. They carry no file name; those of files become ExportError
elsewhere."""


@app.command(cls=Command)
def info(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A picture, or - for standard input.")],
    layer: Annotated[str, typer.Option(help="Layer of an EXR that is read.")] = "",
    part: Annotated[int | None, typer.Option(help="Part of an EXR that is read, from 1.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a picture is: size, depth, colour space, range in stops, and how LuxScaler made it."""
    with one_line_errors(as_json=as_json):
        from luxscaler.cli.info import report  # noqa: PLC0415
        from luxscaler.masters.finding import STREAM  # noqa: PLC0415
        from luxscaler.options import LayerChoice  # noqa: PLC0415

        source = standard_input("FILE") if file == STREAM else file
        lines = report(source, LayerChoice(layer, part))
        if as_json:
            write_event("result", **grouped(lines))
            return
        for name, value in lines:
            tell(f"{name:<12}{value}" if len(name) < 12 else f"{name} {value}")


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"luxscaler {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Upscale pictures and expand their dynamic range."""
    with one_line_errors(as_json=wants_json(context)):
        context.default_map = default_map(context.command)
    if context.obj is not None:
        context.obj()


def main(begin: Callable[[], None] | None = None) -> None:
    """Run the command; errors of its output streams become one line and exit status 1.

    begin: called when the command line is understood and the work begins.
    """
    spin_briefly()
    prepare_streams()
    try:
        app(prog_name="luxscaler", obj=begin)
    except BrokenPipeError:  # the reader of our output has ended, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno not in _FULL or error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the flush at exit fails again
        tell(f"error: cannot write to standard output: {error.strerror}", err, style="red")
        sys.exit(1)


if __name__ == "__main__":
    main()
