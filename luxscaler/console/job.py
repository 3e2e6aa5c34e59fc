"""One job of the console: its fields, its states, and how both are stored in a row of the database.

    pending → uploading → queued → running → completed | failed | canceled

A wish to cancel is a field of its own (`cancel_reason`), so that it can be set in any state and survives a
restart.
"""

import json
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple

JobKind = Literal["master", "training"]
KINDS: tuple[JobKind, ...] = ("master", "training")
Place = Literal["replicate", "here"]
"""Where a job is computed: paid at Replicate, or as a process on this machine."""

_NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
_MOST_STEM = 100


def result_name(name: str, suffix: str) -> str:
    """What a browser calls the result of a job that has the name of a picture."""
    stem = _NOT_IN_NAMES.sub("_", Path(name).stem).strip(" .") or "picture"
    return f"{stem[:_MOST_STEM]}-upscaled{suffix}"


class JobState(StrEnum):
    """The states of a job, in order; the last three are final."""

    PENDING = "pending"
    UPLOADING = "uploading"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_over(self) -> bool:
        """Whether the state is final."""
        return self in OVER


OVER = (JobState.COMPLETED, JobState.FAILED, JobState.CANCELED)
IN_FLIGHT = tuple(state for state in JobState if state not in OVER)
SEVERAL = ("open", "over")
"""What a list can be narrowed down to besides one state: jobs that are not over, and those that are."""

Results = Literal["", "waiting", "here", "lost"]
"""Where the results of a job are: "" before it is completed, then still to be downloaded, downloaded, or no
longer at Replicate."""


@dataclass(frozen=True)
class Job:
    """One job at one moment; times are seconds since 1970, money US dollars."""

    id: str
    kind: JobKind
    name: str
    source: str
    """The picture, or the folder of pictures, on this machine."""
    call: dict[str, Any]
    """What is asked of Replicate: `path`, `input`, and `field`, the input that gets the upload."""
    fingerprint: str
    """Hash of the request: a key that comes again with another request is refused by it."""
    nonce: str
    """Random text in the webhook's address; it finds the run at Replicate when the answer to its creation is
    lost."""
    hardware: str
    price: float
    """Per second, as it was when the job was submitted."""
    max_seconds: float
    created_at: float
    deadline: float
    state: JobState = JobState.PENDING
    key: str | None = None
    intent_at: float | None = None
    """When a paid call was about to be made, noted before it; None: never."""
    started_at: float | None = None
    finished_at: float | None = None
    upload_bytes: int = 0
    upload_total: int = 0
    upload_url: str = ""
    remote_id: str | None = None
    cancel_reason: str = ""
    error: str = ""
    logs: str = ""
    stage: str = ""
    step: int | None = None
    steps: int | None = None
    eta_seconds: float | None = None
    predict_time: float | None = None
    cost: float | None = None
    """None until the job is over."""
    outputs: dict[str, str] = field(default_factory=dict)
    """Names of the result files to their addresses at Replicate."""
    results: Results = ""
    place: Place = "replicate"
    trained_version: str = ""
    """owner/name:version of the model that Replicate built from a training."""
    megapixels: float | None = None
    """Of a master's source, in millions of pixels; None where its header could not be read."""
    sequence: int = 0
    """Order of submission; given by the database."""

    @property
    def reserved(self) -> float:
        """The most that the job can cost, in dollars."""
        return self.max_seconds * self.price

    @property
    def run_kind(self) -> Literal["predictions", "trainings"]:
        """What Replicate calls a run of this kind."""
        return "trainings" if self.kind == "training" else "predictions"


class ToDo(NamedTuple):
    """The columns that decide when a job needs attention; whole jobs, with their logs, are slow to read."""

    id: str
    place: Place
    state: str
    """One of JobState."""
    is_remote: int
    """1 if Replicate has a run of it, else 0."""
    is_unwanted: int
    """1 if it is to be canceled, else 0."""


def encoded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a Job as the database holds them: dictionaries as JSON."""
    return {name: json.dumps(value) if isinstance(value, dict) else value for name, value in values.items()}


def decoded(row: sqlite3.Row) -> Job:
    """The job that a row of the table holds."""
    values = dict(row)
    values["state"] = JobState(values["state"])
    for name in ("call", "outputs"):
        values[name] = json.loads(values[name])
    return Job(**values)
