"""What the commands share at a terminal: where they print, and how an error becomes one line and a status."""

import io
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console

from luxscaler.errors import LuxScalerError, StoppedError
from luxscaler.words import printable

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

EXIT_INTERRUPTED = 130
"""The shell's convention for a program that ended on Ctrl-C."""


JsonOption = Annotated[bool, typer.Option("--json", help="As JSON objects, one a line.")]
"""Of every command that prints facts; docs/cli.md has the shape."""


@contextmanager
def one_line_errors(*, as_json: bool = False) -> Iterator[None]:
    """One line for every error that is meant; a traceback for every one that is not."""
    try:
        yield
    except StoppedError as error:
        _tell_end("stopped", str(error), as_json=as_json)
        raise typer.Exit(EXIT_INTERRUPTED) from error
    except LuxScalerError as error:
        tell_error(error, as_json=as_json)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        _tell_end("stopped", "interrupted: nothing was written", as_json=as_json)
        raise typer.Exit(EXIT_INTERRUPTED) from error


def tell(text: str, console: Console = out, *, style: str | None = None) -> None:
    """One line, whatever is in the names of files or the words of others."""
    console.print(printable(text), style=style, markup=False, soft_wrap=True)


def tell_error(error: LuxScalerError, *, as_json: bool = False) -> None:
    """One line on standard error, or an object."""
    if as_json:
        write_event("error", kind=type(error).__name__, message=str(error))
    else:
        tell(f"error: {error}", err, style="red")


def _tell_end(event: str, text: str, *, as_json: bool) -> None:
    if as_json:
        write_event(event, message=text)
    else:
        tell(text, err)


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


def write_event(event: str, **values: object) -> None:
    """One JSON object on standard output, on one line, in ASCII; values that JSON has not become text."""
    text = json.dumps({"event": event, **values}, ensure_ascii=True, allow_nan=False, default=str)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def finite(values: dict[str, Any]) -> dict[str, Any]:
    """The same with null for NaN and infinity, which JSON has not."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }


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


def say(notices: tuple[str, ...], *, as_json: bool = False) -> None:
    """What was decided on the user's behalf, on standard error, or as objects."""
    for notice in notices:
        if as_json:
            write_event("note", message=notice)
        else:
            tell(f"note: {notice}", err)
