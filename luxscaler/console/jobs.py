"""The jobs of a console in its database: found, listed, changed, deleted, and the events of every change.

A change applies only to jobs in the states that it names, in one SQL statement: a job that is over stays as
it is, whoever wants to change it.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from luxscaler.clock import Clock
from luxscaler.console.database import Database
from luxscaler.console.job import IN_FLIGHT, OVER, SEVERAL, Job, JobState, ToDo, decoded, encoded

_KEPT_EVENTS = 20_000
_TRIMMED_EVERY = 500
"""Events after which the oldest are removed: removing costs as much as adding one."""
_OVER_SQL = ", ".join(f"'{state}'" for state in OVER)
_LISTED = ", ".join("'' AS logs" if each.name == "logs" else each.name for each in fields(Job))
"""The columns of a job, without its logs."""


@dataclass(frozen=True)
class Filters:
    """Which jobs a list shows; an empty field filters nothing."""

    kind: str = ""
    state: str = ""
    """One of JobState or of SEVERAL."""
    search: str = ""
    """Text within name, source, id or error."""


class Jobs:
    """The table of jobs of one console, and the events of their changes."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self._clock = clock
        self._untrimmed = 0

    def add(self, job: Job) -> None:
        """Insert a new job; its `sequence` is given by the database."""
        values = encoded({name: value for name, value in vars(job).items() if name != "sequence"})
        columns, marks = ", ".join(values), ", ".join("?" for _ in values)
        with self.database.transaction():
            self.database.run(f"INSERT INTO jobs ({columns}) VALUES ({marks})", [*values.values()])  # noqa: S608 - names from this package
            self.announce(job.id, str(job.state))

    def get(self, name: str) -> Job | None:
        """The job of that id, if there is one."""
        return _one(self.database.rows("SELECT * FROM jobs WHERE id = ?", [name]))

    def beginning_with(self, text: str) -> list[Job]:
        """Jobs whose id begins with `text`, 20 at most."""
        rows = self.database.rows("SELECT * FROM jobs WHERE substr(id, 1, ?) = ? LIMIT 20", [len(text), text])
        return [decoded(row) for row in rows]

    def by_key(self, key: str) -> Job | None:
        """The job that a client submitted under that key."""
        return _one(self.database.rows("SELECT * FROM jobs WHERE key = ?", [key]))

    def by_remote(self, name: str) -> Job | None:
        """The job whose run has that id at Replicate."""
        return _one(self.database.rows("SELECT * FROM jobs WHERE remote_id = ?", [name]))

    def by_nonce(self, nonce: str) -> Job | None:
        """The job with that nonce in its webhook's address."""
        return _one(self.database.rows("SELECT * FROM jobs WHERE nonce = ?", [nonce]))

    def by_remotes(self, names: Iterable[str]) -> dict[str, Job]:
        """The jobs of several ids at Replicate: id to job."""
        found = [*names]
        marks = ", ".join("?" for _ in found)
        rows = self.database.rows(f"SELECT * FROM jobs WHERE remote_id IN ({marks})", found)  # noqa: S608 - marks only
        return {row["remote_id"]: decoded(row) for row in rows}

    def to_do(self) -> list[ToDo]:
        """Jobs under way and jobs whose results are still to be downloaded, oldest first."""
        marks = ", ".join("?" for _ in IN_FLIGHT)
        sql = (
            "SELECT id, place, state, remote_id IS NOT NULL, cancel_reason != '' FROM jobs "  # noqa: S608 - marks only
            f"WHERE state IN ({marks}) OR results = 'waiting' ORDER BY sequence"
        )
        return [ToDo(*row) for row in self.database.rows(sql, IN_FLIGHT)]

    def sources_in_use(self) -> set[str]:
        """The source files and folders of jobs under way."""
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
        """A page of jobs, newest first, without their logs; and the number of all that match."""
        where, values = _where(filters)
        total = self.database.rows(f"SELECT count(*) FROM jobs WHERE {where}", values)[0][0]  # noqa: S608
        sql = f"SELECT {_LISTED} FROM jobs WHERE {where} ORDER BY sequence DESC LIMIT ? OFFSET ?"  # noqa: S608
        return [decoded(row) for row in self.database.rows(sql, [*values, limit, offset])], int(total)

    def change(self, name: str, states: Iterable[JobState] = IN_FLIGHT, **values: Any) -> bool:
        """Set columns of a job if it is in one of the states; whether it was."""
        with self.database.transaction():
            changed = self._changed(name, states, values)
            if changed:
                self.announce(name, str(values.get("state", "changed")))
        return changed

    def change_many(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """Set columns (by job id) of those jobs that are under way, in one transaction."""
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
            [*encoded(values).values(), name, *before],
        )
        return bool(count)

    def ask_to_cancel(self, name: str, reason: str) -> bool:
        """Note that a job is to be canceled; False if it is over or that is noted already."""
        with self.database.transaction():
            sql = f"UPDATE jobs SET cancel_reason = ? WHERE id = ? AND cancel_reason = '' AND state NOT IN ({_OVER_SQL})"  # noqa: S608, E501
            if not self.database.run(sql, [reason, name]):
                return False
            self.announce(name, "cancel")
        return True

    def wants_cancel(self, name: str) -> bool:
        """Whether a job is to be canceled."""
        rows = self.database.rows("SELECT cancel_reason FROM jobs WHERE id = ?", [name])
        return bool(rows) and rows[0][0] != ""

    def delete(self, name: str) -> bool:
        """Delete a job that is over; what it cost is kept. False, and nothing deleted, if it is not over."""
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
        """Events with higher numbers, oldest first: id, job, kind, and `at` in seconds since 1970."""
        sql = "SELECT id, job, kind, at FROM events WHERE id > ? ORDER BY id LIMIT ?"
        return [dict(row) for row in self.database.rows(sql, [number, limit])]

    def last_event(self) -> int:
        """The number of the newest event; 0 if there is none."""
        return int(self.database.rows("SELECT coalesce(max(id), 0) FROM events")[0][0])

    def announce(self, job: str, kind: str) -> None:
        """Add an event, within the transaction of the change that it tells of."""
        self._announce([(job, kind)])

    def _announce(self, told: Sequence[tuple[str, str]]) -> None:
        """Add events, each (job, kind)."""
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


def _one(rows: list[sqlite3.Row]) -> Job | None:
    return decoded(rows[0]) if rows else None
