"""What the commands share: where they print, and how an error becomes one line and an exit status."""

import io
import json
import logging
import math
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console

from luxscaler.errors import InputError, LuxScalerError, StoppedError
from luxscaler.words import printable

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

EXIT_INTERRUPTED = 130
"""The shell's convention for a program that ended on Ctrl-C."""


JsonOption = Annotated[bool, typer.Option("--json", help="As JSON objects, one a line.")]
"""Of every command that prints facts; docs/cli.md has the shape."""


@contextmanager
def one_line_errors(*, as_json: bool = False) -> Iterator[None]:
    """Turn a LuxScalerError or an interruption into one line and an exit status (typer.Exit).

    Any other error is a bug and keeps its traceback. as_json: the line is a JSON object on standard output.
    """
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
    """Print one line; control characters, which file names and messages of others may hold, are escaped."""
    console.print(printable(text), style=style, markup=False, soft_wrap=True)


def tell_error(error: LuxScalerError, *, as_json: bool = False) -> None:
    """Print an error as one line on standard error, or as a JSON object on standard output."""
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
    """Make printing safe: it must not fail for the state of a stream.

    Closed streams are replaced by /dev/null; characters that a terminal's encoding lacks become "?".
    """
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


def unusable(name: str) -> str | None:
    """Why "stdin" or "stdout" can hold no picture: "is closed" or "is a terminal"; None if it can."""
    if getattr(sys, f"__{name}__") is None:  # Python's own, not what prepare_streams put in its place
        return "is closed"
    return "is a terminal" if getattr(sys, name).isatty() else None


def standard_input(name: str) -> bytes:
    """All bytes of standard input. name: what messages call it, e.g. "IN".

    Raises InputError if it is closed or a terminal.
    """
    if reason := unusable("stdin"):
        raise InputError(f"{name} is standard input, which {reason}: send it a picture")
    return sys.stdin.buffer.read()


def progress_bar() -> Any:
    """A rich.progress.Progress on standard error that shows nothing where that is no terminal."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)


def event_line(event: str, **values: object) -> str:
    """A JSON object on one line, in ASCII; values of types that JSON lacks, such as paths, become text.

    Raises ValueError for NaN and infinity; see `finite`.
    """
    return json.dumps({"event": event, **values}, ensure_ascii=True, allow_nan=False, default=str)


def write_event(event: str, **values: object) -> None:
    """Write an event to standard output as a line of JSON."""
    sys.stdout.write(event_line(event, **values) + "\n")
    sys.stdout.flush()


def finite(values: dict[str, Any]) -> dict[str, Any]:
    """The values with None for NaN and infinity, which JSON lacks."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }


def grouped(lines: Iterable[tuple[str, str]]) -> dict[str, str | list[str]]:
    """Names and values as a JSON object; the values of a name that occurs several times become a list."""
    found: dict[str, str | list[str]] = {}
    for name, value in lines:
        if name not in found:
            found[name] = value
            continue
        before = found[name]
        found[name] = [*(before if isinstance(before, list) else [before]), value]
    return found


def say(notices: tuple[str, ...], *, as_json: bool = False) -> None:
    """Print notices, which tell what was decided on the user's behalf: on standard error, or as JSON
    objects."""
    for notice in notices:
        if as_json:
            write_event("note", message=notice)
        else:
            tell(f"note: {notice}", err)


def show_log(name: str) -> None:
    """Print the log of a package, e.g. "luxscaler.gateway", on standard error.

    The logs of its libraries stay off: they would show signed addresses.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log = logging.getLogger(name)
    log.setLevel(logging.INFO)
    log.addHandler(handler)
