"""Routes of jobs: submit, list, one, logs, cancel, delete, results."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from luxscaler.clock import iso
from luxscaler.console.job import SEVERAL, Job, JobState
from luxscaler.console.jobs import Filters
from luxscaler.console.routes.strict import StrictRoute
from luxscaler.console.state import Console, Here
from luxscaler.console.submissions import SubmitRequest
from luxscaler.console.token import NOT_SET
from luxscaler.gateway.problems import Problem

router = APIRouter(prefix="/api/cloud/jobs", tags=["jobs"], route_class=StrictRoute)
models = APIRouter(prefix="/api/cloud/models", tags=["jobs"])
_HIDDEN = (
    *("fingerprint", "nonce", "sequence", "upload_url", "outputs", "logs", "call", "intent_at"),
    "megapixels",
)
_TIMES = ("created_at", "started_at", "finished_at", "deadline")


@router.post("/submit", status_code=202)
def submit(
    request: SubmitRequest, console: Here, idempotency_key: Annotated[str, Header(max_length=200)] = ""
) -> Response:
    """Submit a job; the upload and the paid call follow later."""
    if request.place == "replicate" and console.tokens.find() is None:
        raise Problem(503, NOT_SET)
    done = console.submissions.submit(request, request.idempotency_key or idempotency_key)
    console.engine.wake()
    answer = {
        "job_id": done.job.id,
        "status": done.job.state,
        "cost_limit_warning": done.warning or None,
        "idempotent_hit": done.hit,
    }
    return JSONResponse(answer, 202)


@router.get("")
def listing(
    console: Here,
    kind: str = "",
    status: str = "",
    search: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> dict[str, Any]:
    """List jobs, newest first; `total` counts all that match the filters."""
    if status and status not in (*JobState, *SEVERAL):
        known = ", ".join((*JobState, *SEVERAL))
        raise Problem(422, f"status: must be one of {known}, got {status[:80]!r}", field="status")
    jobs, total = console.jobs.listed(Filters(kind, status, search), limit, offset)
    return {"jobs": [shown(job) for job in jobs], "total": total}


@models.get("")
def trained_models(console: Here) -> dict[str, Any]:
    """List unpacked networks of trainings, newest first."""
    return {"models": console.models.listed()}


@router.get("/{name}")
def get(name: str, console: Here) -> dict[str, Any]:
    """Show a job, with what it asks of Replicate and its results."""
    job = _found(console, name)
    results = [vars(result) for result in console.results.of(name)]
    return {
        **shown(job),
        "inputs": job.call["input"],
        "files": results,
        "deliveries": console.publications.of(name),
        "model": console.models.shown(job) if job.kind == "training" else None,
    }


@router.get("/{name}/logs", response_class=PlainTextResponse)
def logs(name: str, console: Here, search: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Show the latest logs of a job; search: only lines that contain the word."""
    text = _found(console, name).logs
    if search:
        text = "".join(line for line in text.splitlines(keepends=True) if search.lower() in line.lower())
    return PlainTextResponse(text)


@router.post("/{name}/cancel")
def cancel(name: str, console: Here) -> dict[str, Any]:
    """Ask for a job's end; a job that is over stays as it is, and asking again changes nothing."""
    _found(console, name)
    console.jobs.ask_to_cancel(name, "canceled by the user")
    console.engine.wake(name)
    return shown(_found(console, name))


@router.delete("/{name}", status_code=204)
def delete(name: str, console: Here) -> Response:
    """Delete a job that is over, with its files; what it cost still counts."""
    job = _found(console, name)
    if not console.jobs.delete(name):
        raise Problem(409, f"Job {name} is {job.state}: cancel it first")
    console.results.remove(name)
    return Response(status_code=204)


@router.post("/{name}/model")
def use_as_model(name: str, console: Here) -> dict[str, Any]:
    """Unpack the network of a training; where it is, and the command that uses it. 409 if it has none."""
    job = _found(console, name)
    if job.kind != "training":
        raise Problem(409, f"Job {name} is a {job.kind}: only trainings make models")
    return console.models.make(job)


@router.post("/{name}/deliver")
def deliver(name: str, console: Here) -> dict[str, Any]:
    """Deliver what is not delivered yet, to where the settings say now. 409: there is nothing to deliver."""
    job = _found(console, name)
    if job.results != "here":
        raise Problem(409, f"The results of job {name} are not here: it is {job.state}")
    console.publications.again(job)
    console.engine.wake(name)
    return {"deliveries": console.publications.of(name)}


@router.get("/{name}/files/{file}")
def file_of(name: str, file: str, console: Here) -> Response:
    """Send a file of a result."""
    path = console.results.path(name, file)
    if path is None:
        raise Problem(404, f"Job {name[:40]!r} has no file {file[:100]!r}")
    return FileResponse(path, media_type="application/octet-stream", filename=file)


def shown(job: Job) -> dict[str, Any]:
    """A job as the API shows it."""
    values = {name: value for name, value in vars(job).items() if name not in _HIDDEN}
    times = {name: iso(values[name]) for name in _TIMES}
    return {**values, **times, "status": job.state, "reserved": round(job.reserved, 6)}


def _found(console: Console, name: str) -> Job:
    job = console.jobs.get(name)
    if job is None:
        raise Problem(404, f"There is no job {name[:40]!r}")
    return job
