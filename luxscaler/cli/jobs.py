"""`luxscaler jobs`: the console's jobs, read from its database, whether the console runs or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from luxscaler.cli.commands import Command, Group
from luxscaler.cli.server import DEFAULT_DATA
from luxscaler.cli.terminal import JsonOption, one_line_errors, out, tell, write_event
from luxscaler.errors import InputError
from luxscaler.words import counted, printable

if TYPE_CHECKING:
    from luxscaler.console.job import Job
    from luxscaler.console.jobs import Jobs

app = typer.Typer(cls=Group, help="The console's jobs: list, show, logs, cancel.", no_args_is_help=True)
ID_LENGTH = 26
"""Characters of a job's id (replicate/signing.py), which a list shows whole so that it can be copied."""
PIPE_WIDTH = 400
"""Columns of a list that goes to a file or a program, where nothing is to be cut off."""
Data = Annotated[Path, typer.Option(help="The console's folder.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="A job, or the beginning of its id.")]


@app.command("list", cls=Command)
def jobs_list(
    data: Data = DEFAULT_DATA,
    status: Annotated[str, typer.Option(help="Only those in this state.")] = "",
    kind: Annotated[str, typer.Option(help="Only master or training.")] = "",
    search: Annotated[str, typer.Option(help="Only those with this text in name, source, id or error.")] = "",
    limit: Annotated[int, typer.Option(help="As many at most.", min=1, max=500)] = 50,
    as_json: JsonOption = False,
) -> None:
    """Jobs, the newest first."""
    with one_line_errors(as_json=as_json), _opened(data) as jobs:
        from rich.console import Console  # noqa: PLC0415
        from rich.markup import escape  # noqa: PLC0415
        from rich.table import Column, Table  # noqa: PLC0415

        from luxscaler.clock import iso  # noqa: PLC0415
        from luxscaler.console.jobs import Filters  # noqa: PLC0415

        found, total = jobs.listed(Filters(kind, status, search), limit, 0)
        if as_json:
            write_event("result", jobs=[_object(job) for job in found], total=total)
            return
        table = Table(
            Column("id", min_width=ID_LENGTH, no_wrap=True), "kind", "status", "name", "created", "cost"
        )
        for job in found:
            created = (iso(job.created_at) or "")[:19]
            table.add_row(job.id, job.kind, job.state, escape(printable(job.name)), created, _money(job))
        (out if out.is_terminal else Console(width=PIPE_WIDTH)).print(table)
        if total > len(found):
            out.print(f"{len(found)} of {total}; --limit shows more")


@app.command("show", cls=Command)
def jobs_show(name: Id, data: Data = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """All about one job."""
    with one_line_errors(as_json=as_json), _opened(data) as jobs:
        from luxscaler.clock import iso  # noqa: PLC0415

        job = _found(jobs, name)
        if as_json:
            write_event("result", **_object(job))
            return
        facts = {
            "id": job.id,
            "name": job.name,
            "kind": job.kind,
            "status": job.state,
            "cancel": job.cancel_reason,
            "source": job.source,
            "hardware": f"{job.hardware}, ${job.price:g} a second" if job.price else job.hardware,
            "created": iso(job.created_at),
            "started": iso(job.started_at),
            "finished": iso(job.finished_at),
            "progress": f"{job.step} of {job.steps}" if job.steps else None,
            "cost": _money(job),
            "error": job.error,
            "results": job.results,
        }
        for label, value in facts.items():
            if value:
                tell(f"{label:<12}{value}")


@app.command("logs", cls=Command)
def jobs_logs(
    name: Id,
    data: Data = DEFAULT_DATA,
    search: Annotated[str, typer.Option(help="Only lines with this text.")] = "",
    as_json: JsonOption = False,
) -> None:
    """What a job has printed so far."""
    with one_line_errors(as_json=as_json), _opened(data) as jobs:
        job = _found(jobs, name)
        lines = [line for line in job.logs.splitlines() if search.lower() in line.lower()]
        if as_json:
            write_event("result", id=job.id, lines=lines)
            return
        for line in lines:
            tell(line)


@app.command("cancel", cls=Command)
def jobs_cancel(name: Id, data: Data = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Ask for a job's end; the console ends it, at once or when it runs next."""
    with one_line_errors(as_json=as_json), _opened(data) as jobs:
        job = _found(jobs, name)
        if not job.state.is_over:
            jobs.ask_to_cancel(job.id, "canceled by the user")
        if as_json:
            write_event("result", id=job.id, status=job.state, canceling=not job.state.is_over)
        elif job.state.is_over:
            out.print(f"{job.id} is {job.state} already")
        else:
            out.print(f"{job.id} will be canceled by the console")


@contextmanager
def _opened(data: Path) -> "Iterator[Jobs]":
    from luxscaler.clock import Clock  # noqa: PLC0415
    from luxscaler.console.database import FILE_NAME, Database  # noqa: PLC0415
    from luxscaler.console.jobs import Jobs  # noqa: PLC0415

    path = data.expanduser() / FILE_NAME
    if not path.is_file():
        raise InputError(
            f"no console has run in {str(data)!r}: start one by luxscaler server, or give --data"
        )
    database = Database(path)
    try:
        yield Jobs(database, Clock())
    finally:
        database.close()


def _found(jobs: "Jobs", beginning: str) -> "Job":
    matches = jobs.beginning_with(beginning)
    if len(matches) != 1:
        count = "no job" if not matches else counted(len(matches), "job")
        raise InputError(f"{count} with an id that begins with {beginning!r}")
    return matches[0]


def _object(job: "Job") -> dict[str, object]:
    """A job as a JSON object."""
    from luxscaler.clock import iso  # noqa: PLC0415

    facts = (
        "id",
        "name",
        "kind",
        "source",
        "place",
        "hardware",
        "stage",
        "step",
        "steps",
        "error",
        "results",
    )
    times = {name: iso(getattr(job, f"{name}_at")) for name in ("created", "started", "finished")}
    return {
        **{name: getattr(job, name) for name in facts},
        "status": job.state,
        "cancel_reason": job.cancel_reason,
        **times,
        "dollars": job.cost,
        "dollars_at_most": round(job.reserved, 6),
    }


def _money(job: "Job") -> str:
    if job.place == "here":
        return "free"
    return f"up to ${job.reserved:.2f}" if job.cost is None else f"${job.cost:.4f}"
