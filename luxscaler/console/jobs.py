"""Jobs and their states, as the database keeps them.

    pending → uploading → queued → running → completed | failed | canceled

A wish to cancel is a flag of its own (`cancel_reason`), so it can be set at any moment and survives a
restart. Every change of a job that is over fails, whoever asks for it.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from luxscaler.clock import Clock
from luxscaler.console.database import Database

JobKind = Literal["master", "training"]
KINDS: tuple[JobKind, ...] = ("master", "training")
Place = Literal["replicate", "here"]
"""Where a job is computed: paid at Replicate, or as a process on this machine."""
_KEPT_EVENTS = 20_000
_TRIMMED_EVERY = 500
"""Events: the oldest are removed so seldom, since that costs as much as to add one."""


class JobState(StrEnum):
    """Where a job is."""

    PENDING = "pending"
    UPLOADING = "uploading"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_over(self) -> bool:
        """Whether it is final."""
        return self in OVER


OVER = (JobState.COMPLETED, JobState.FAILED, JobState.CANCELED)
IN_FLIGHT = tuple(state for state in JobState if state not in OVER)
SEVERAL = ("open", "over")
"""What a list can be narrowed down to beside one state: jobs that are not over, and those that are."""
_OVER_SQL = ", ".join(f"'{state}'" for state in OVER)

Results = Literal["", "waiting", "here", "lost"]
"""Of a completed job: not asked yet (none), to be downloaded, downloaded, or gone from Replicate."""


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
    """Of the request, so that a key that is used twice is noticed when the requests differ."""
    nonce: str
    """In the webhook's address; finds the run again whose creation nobody answered."""
    hardware: str
    price: float
    """A second, when it was submitted."""
    max_seconds: float
    created_at: float
    deadline: float
    state: JobState = JobState.PENDING
    key: str | None = None
    intent_at: float | None = None
    """When a paid call was about to be made; None: none was."""
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
    """None until it is over."""
    outputs: dict[str, str] = field(default_factory=dict)
    """Name to address on Replicate."""
    results: Results = ""
    place: Place = "replicate"
    trained_version: str = ""
    """owner/name:version, which Replicate built from a training."""
    sequence: int = 0

    @property
    def reserved(self) -> float:
        """The most that it can cost."""
        return self.max_seconds * self.price

    @property
    def run_kind(self) -> Literal["predictions", "trainings"]:
        """What it is called at Replicate."""
        return "trainings" if self.kind == "training" else "predictions"


class ToDo(NamedTuple):
    """What decides when something is to be done with a job: to read whole jobs, logs and all, takes long."""

    id: str
    place: Place
    state: str
    """One of JobState."""
    is_remote: int
    """Whether Replicate has a run of it."""
    is_unwanted: int
    """Whether somebody wants its end."""


_LISTED = ", ".join("'' AS logs" if each.name == "logs" else each.name for each in fields(Job))
"""The columns of a job, without its logs."""


@dataclass(frozen=True)
class Filters:
    """What a list of jobs is narrowed down to."""

    kind: str = ""
    state: str = ""
    """One of JobState or of SEVERAL."""
    search: str = ""
    """In name, source, id, error."""


class Jobs:
    """The jobs of one console."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self._clock = clock
        self._untrimmed = 0

    def add(self, job: Job) -> None:
        """A new one."""
        values = _encoded({name: value for name, value in vars(job).items() if name != "sequence"})
        columns, marks = ", ".join(values), ", ".join("?" for _ in values)
        with self.database.transaction():
            self.database.run(f"INSERT INTO jobs ({columns}) VALUES ({marks})", [*values.values()])  # noqa: S608 - names from this package
            self.announce(job.id, str(job.state))

    def get(self, name: str) -> Job | None:
        """By id."""
        return _one(self.database.rows("SELECT * FROM jobs WHERE id = ?", [name]))

    def beginning_with(self, text: str) -> list[Job]:
        """Those whose id begins so."""
        rows = self.database.rows("SELECT * FROM jobs WHERE substr(id, 1, ?) = ? LIMIT 20", [len(text), text])
        return [_decoded(row) for row in rows]

    def by_key(self, key: str) -> Job | None:
        """By the key that a client gave it."""
        return _one(self.database.rows("SELECT * FROM jobs WHERE key = ?", [key]))

    def by_remote(self, name: str) -> Job | None:
        """By Replicate's id."""
        return _one(self.database.rows("SELECT * FROM jobs WHERE remote_id = ?", [name]))

    def by_nonce(self, nonce: str) -> Job | None:
        """By what stands in its webhook's address."""
        return _one(self.database.rows("SELECT * FROM jobs WHERE nonce = ?", [nonce]))

    def by_remotes(self, names: Iterable[str]) -> dict[str, Job]:
        """Several by Replicate's ids, which are the keys."""
        found = [*names]
        marks = ", ".join("?" for _ in found)
        rows = self.database.rows(f"SELECT * FROM jobs WHERE remote_id IN ({marks})", found)  # noqa: S608 - marks only
        return {row["remote_id"]: _decoded(row) for row in rows}

    def to_do(self) -> list[ToDo]:
        """Those under way, and those whose results are not here yet; oldest first."""
        marks = ", ".join("?" for _ in IN_FLIGHT)
        sql = (
            "SELECT id, place, state, remote_id IS NOT NULL, cancel_reason != '' FROM jobs "  # noqa: S608 - marks only
            f"WHERE state IN ({marks}) OR results = 'waiting' ORDER BY sequence"
        )
        return [ToDo(*row) for row in self.database.rows(sql, IN_FLIGHT)]

    def sources_in_use(self) -> set[str]:
        """What jobs under way are made from."""
        marks = ", ".join("?" for _ in IN_FLIGHT)
        sql = f"SELECT DISTINCT source FROM jobs WHERE state IN ({marks})"  # noqa: S608 - marks only
        return {row[0] for row in self.database.rows(sql, IN_FLIGHT)}

    def has_to_wait_here(self, sequence: int) -> bool:
        """Whether a job is computed on this machine now, or an earlier one waits for it too."""
        sql = (
            "SELECT 1 FROM jobs WHERE place = 'here' AND (state = 'running' OR "
            "(state IN ('pending', 'queued') AND cancel_reason = '' AND sequence < ?)) LIMIT 1"
        )
        return bool(self.database.rows(sql, [sequence]))

    def listed(self, filters: Filters, limit: int, offset: int) -> tuple[list[Job], int]:
        """A page, newest first, without logs, and how many there are in all."""
        where, values = _where(filters)
        total = self.database.rows(f"SELECT count(*) FROM jobs WHERE {where}", values)[0][0]  # noqa: S608
        sql = f"SELECT {_LISTED} FROM jobs WHERE {where} ORDER BY sequence DESC LIMIT ? OFFSET ?"  # noqa: S608
        return [_decoded(row) for row in self.database.rows(sql, [*values, limit, offset])], int(total)

    def change(self, name: str, states: Iterable[JobState] = IN_FLIGHT, **values: Any) -> bool:
        """Set columns of a job that is in one of the states; whether it was."""
        with self.database.transaction():
            changed = self._changed(name, states, values)
            if changed:
                self.announce(name, str(values.get("state", "changed")))
        return changed

    def change_many(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """The same for several jobs that are under way: id to columns."""
        with self.database.transaction():
            told = [
                (name, str(values.get("state", "changed")))
                for name, values in changes.items()
                if self._changed(name, IN_FLIGHT, values)
            ]
            self._announce(told)

    def _changed(self, name: str, states: Iterable[JobState], values: Mapping[str, Any]) -> bool:
        before = [str(state) for state in states]
        sets = ", ".join(f"{column} = ?" for column in values)
        marks = ", ".join("?" for _ in before)
        count = self.database.run(
            f"UPDATE jobs SET {sets} WHERE id = ? AND state IN ({marks})",  # noqa: S608 - names from this package
            [*_encoded(values).values(), name, *before],
        )
        return bool(count)

    def ask_to_cancel(self, name: str, reason: str) -> bool:
        """Set the flag, unless it is set or the job is over; whether it was set now."""
        with self.database.transaction():
            sql = f"UPDATE jobs SET cancel_reason = ? WHERE id = ? AND cancel_reason = '' AND state NOT IN ({_OVER_SQL})"  # noqa: S608, E501
            if not self.database.run(sql, [reason, name]):
                return False
            self.announce(name, "cancel")
        return True

    def wants_cancel(self, name: str) -> bool:
        """Whether the flag is set."""
        rows = self.database.rows("SELECT cancel_reason FROM jobs WHERE id = ?", [name])
        return bool(rows) and rows[0][0] != ""

    def delete(self, name: str) -> bool:
        """Forget one that is over, but for what it cost; whether it was over."""
        with self.database.transaction():
            over = f"FROM jobs WHERE id = ? AND state IN ({_OVER_SQL})"  # names from this package
            self.database.run(f"INSERT INTO past_costs SELECT finished_at, cost {over}", [name])
            if not self.database.run(f"DELETE {over}", [name]):
                return False
            self.database.run("DELETE FROM results WHERE job = ?", [name])
            self.database.run("DELETE FROM publications WHERE job = ?", [name])
            self.announce(name, "deleted")
        return True

    def events_after(self, number: int, limit: int = 500) -> list[dict[str, Any]]:
        """Changes, oldest first."""
        sql = "SELECT id, job, kind, at FROM events WHERE id > ? ORDER BY id LIMIT ?"
        return [dict(row) for row in self.database.rows(sql, [number, limit])]

    def last_event(self) -> int:
        """The number of the newest change; 0: none."""
        return int(self.database.rows("SELECT coalesce(max(id), 0) FROM events")[0][0])

    def announce(self, job: str, kind: str) -> None:
        """Add an event; inside the transaction of the change."""
        self._announce([(job, kind)])

    def _announce(self, told: Sequence[tuple[str, str]]) -> None:
        """Events: (job, kind) of each."""
        now = self._clock.now()
        sql = "INSERT INTO events (job, kind, at) VALUES (?, ?, ?)"
        self.database.run_many(sql, [(job, kind, now) for job, kind in told])
        self._untrimmed += len(told)
        if self._untrimmed >= _TRIMMED_EVERY:
            self._untrimmed = 0
            newest = "SELECT max(id) FROM events"
            self.database.run(f"DELETE FROM events WHERE id <= ({newest}) - ?", [_KEPT_EVENTS])  # noqa: S608


def _where(filters: Filters) -> tuple[str, list[str]]:
    parts, values = ["1"], []
    if filters.kind:
        parts.append("kind = ?")
        values.append(filters.kind)
    if filters.state in SEVERAL:
        parts.append(f"state {'NOT ' if filters.state == 'open' else ''}IN ({_OVER_SQL})")
    elif filters.state:
        parts.append("state = ?")
        values.append(filters.state)
    if filters.search:
        word = filters.search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        columns = ("name", "source", "id", "error")
        parts.append("(" + " OR ".join(f"{column} LIKE ? ESCAPE '\\'" for column in columns) + ")")
        values += [f"%{word}%"] * len(columns)
    return " AND ".join(parts), values


def _encoded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: json.dumps(value) if isinstance(value, dict) else value for name, value in values.items()}


def _one(rows: list[sqlite3.Row]) -> Job | None:
    return _decoded(rows[0]) if rows else None


def _decoded(row: sqlite3.Row) -> Job:
    values = dict(row)
    values["state"] = JobState(values["state"])
    for name in ("call", "outputs"):
        values[name] = json.loads(values[name])
    return Job(**values)
