"""What the commands share at a terminal: where they print, and how an error becomes one line and a status."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from luxscaler.errors import LuxScalerError, StoppedError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

EXIT_INTERRUPTED = 130
"""The shell's convention for a program that ended on Ctrl-C."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """One line for every error that is meant; a traceback for every one that is not."""
    try:
        yield
    except StoppedError as error:
        err.print(str(error), markup=False, soft_wrap=True)
        raise typer.Exit(EXIT_INTERRUPTED) from error
    except LuxScalerError as error:
        err.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        err.print("interrupted: nothing was written")
        raise typer.Exit(EXIT_INTERRUPTED) from error
