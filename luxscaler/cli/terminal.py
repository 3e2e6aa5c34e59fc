"""What the commands share at a terminal: where they print, and how an error becomes one line and a status."""

import io
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

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


def prepare_streams() -> None:
    """Make printing safe: closed streams lead nowhere, and what a terminal's encoding lacks becomes "?"."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            os.set_inheritable(number, True)  # else a child's own files would take the number
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8"))
        stream = getattr(sys, name)
        if number and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def progress_bar() -> Any:
    """A progress bar, silent where there is no terminal."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)


def write_json(value: object) -> None:
    """One JSON object on standard output, on one line, in ASCII."""
    sys.stdout.write(json.dumps(value, ensure_ascii=True, default=str) + "\n")


def grouped(lines: Iterable[tuple[str, str]]) -> dict[str, str | list[str]]:
    """Names and values as an object; a name that comes twice has a list."""
    found: dict[str, str | list[str]] = {}
    for name, value in lines:
        if name not in found:
            found[name] = value
            continue
        before = found[name]
        found[name] = [*(before if isinstance(before, list) else [before]), value]
    return found


def say(notices: tuple[str, ...]) -> None:
    """What was decided on the user's behalf, on standard error."""
    for notice in notices:
        err.print(f"note: {notice}", soft_wrap=True, markup=False)
