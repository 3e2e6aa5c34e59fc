"""Webhooks that were taken: noted with a verdict and applied, all that came together in one transaction.

A delivery's id and its effect are written at once, so after a crash it either counts or does not. What
several webhooks say of one job is put together, and the job is changed once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from luxscaler.clock import Clock
from luxscaler.console.job import Job
from luxscaler.console.jobs import Jobs
from luxscaler.console.sending import is_of
from luxscaler.console.transitions import Transitions
from luxscaler.gateway.problems import Problem
from luxscaler.replicate.runs import RemoteRun

KEPT_DELIVERIES = 100_000
KEPT_BODIES = 1000
"""Number of the newest deliveries whose bodies are kept for a replay."""
KEPT_BODY = 256 * 1024
"""Largest body that is kept, in bytes."""
_MOST_ID = 200
"""Characters of a webhook's id."""
_SEEN_SECONDS = 86400.0
"""Replicate repeats a webhook for a minute, and its time has to be right."""
_TRIMMED_EVERY = 200
"""Deliveries after which old ones are removed."""
ASKED = "asked"


@dataclass(frozen=True)
class Delivery:
    """A webhook whose signature is right, or which needs none."""

    webhook_id: str
    """Empty where it has none; then every arrival counts."""
    body: bytes = field(repr=False)
    run: RemoteRun = field(repr=False)
    nonce: str = ""
    """From the address that it was sent to."""
    is_trusted: bool = True
    """Whether it is signed. If not, it changes nothing, and Replicate is asked about its run."""


class Deliveries:
    """The webhooks that one console has taken."""

    def __init__(
        self, jobs: Jobs, transitions: Transitions, clock: Clock, wake: Callable[[list[str]], None]
    ) -> None:
        """wake: called with the jobs that need attention now."""
        self._jobs, self._transitions, self._clock, self._wake = jobs, transitions, clock, wake
        self._database = jobs.database
        self._untrimmed, self._bodies_after = 0, 0

    def write(self, batch: Sequence[Delivery]) -> list[str]:
        """Apply and note deliveries; returns their verdicts. Raises sqlite3.Error, and then keeps nothing."""
        with self._database.transaction():
            work = _Batch(self._jobs, self._transitions, batch)
            seen, verdicts = self._seen(batch), []
            fresh: list[tuple[str, float]] = []
            now = self._clock.now()
            rows = []
            for each in batch:
                if each.webhook_id in seen:
                    verdict, job = "duplicate", ""
                else:
                    verdict, job = work.apply(each)
                    if each.webhook_id and each.is_trusted:
                        seen.add(each.webhook_id)
                        fresh.append((each.webhook_id, now))
                body = each.body if len(each.body) <= KEPT_BODY else b""
                rows.append((each.webhook_id[:_MOST_ID], now, verdict, 200, job, body))
                verdicts.append(verdict)
            work.finish()
            self._database.run_many("INSERT INTO seen (webhook_id, at) VALUES (?, ?)", fresh)
            self._insert(rows)
        if work.urgent:
            self._wake([*work.urgent])
        return verdicts

    def note(self, webhook_id: str, verdict: str, status: int) -> None:
        """Note a webhook that was refused; its body is not kept."""
        row = (webhook_id[:_MOST_ID], self._clock.now(), verdict, status, "", b"")
        with self._database.transaction():
            self._insert([row])

    def listed(self, limit: int, before: int | None = None) -> tuple[list[dict[str, Any]], int]:
        """A page of deliveries, newest first, before a number if one is given; and how many there are."""
        rows = self._database.rows(
            "SELECT id, webhook_id, received_at, verdict, status, job, length(body) AS kept_bytes "
            "FROM deliveries WHERE id < ? ORDER BY id DESC LIMIT ?",
            [2**62 if before is None else before, limit],
        )
        ends = "(SELECT max(id) FROM deliveries) - (SELECT min(id) FROM deliveries) + 1"  # no gaps between
        total = self._database.rows(f"SELECT coalesce({ends}, 0)")[0][0]
        return [dict(row) for row in rows], int(total)

    def body(self, number: int) -> bytes:
        """The body of a delivery. Raises Problem: 404; 409 if it was refused or its body is not kept."""
        rows = self._database.rows("SELECT status, body FROM deliveries WHERE id = ?", [number])
        if not rows:
            raise Problem(404, f"There is no delivery {number}")
        status, body = rows[0]
        if status != 200 or not body:
            raise Problem(
                409,
                f"Delivery {number} was refused, or its body is not kept: those of the newest {KEPT_BODIES} "
                f"are, up to {KEPT_BODY // 1024} KiB",
            )
        return bytes(body)

    def replay(self, run: RemoteRun) -> str:
        """Apply the run of a delivery once more; returns the verdict."""
        job = self._jobs.by_remote(run.id)
        if job is None:
            return "unknown job"
        if not self._transitions.apply(job.id, run):
            return "unchanged"
        self._wake([job.id])
        return "applied"

    def has(self, webhook_id: str) -> bool:
        """Whether a webhook of that id arrived lately, taken or refused."""
        sql = (
            "SELECT 1 FROM (SELECT webhook_id FROM deliveries ORDER BY id DESC LIMIT ?) WHERE webhook_id = ?"
        )
        return bool(self._database.rows(sql, [KEPT_BODIES, webhook_id]))

    def _seen(self, batch: Sequence[Delivery]) -> set[str]:
        """The ids in the batch that were applied before."""
        names = [each.webhook_id for each in batch if each.is_trusted and each.webhook_id]
        marks = ", ".join("?" for _ in names)
        sql = f"SELECT webhook_id FROM seen WHERE webhook_id IN ({marks})"  # noqa: S608 - marks only
        return {row[0] for row in self._database.rows(sql, names)}

    def _insert(self, rows: Sequence[tuple[str, float, str, int, str, bytes]]) -> None:
        self._database.run_many(
            "INSERT INTO deliveries (webhook_id, received_at, verdict, status, job, body) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            rows,
        )
        self._untrimmed += len(rows)
        if self._untrimmed >= _TRIMMED_EVERY:
            self._untrimmed = 0
            self._trim()

    def _trim(self) -> None:
        """Remove old deliveries, bodies and ids."""
        newest = int(self._database.rows("SELECT max(id) FROM deliveries")[0][0])
        self._database.run("DELETE FROM deliveries WHERE id <= ?", [newest - KEPT_DELIVERIES])
        emptied = "UPDATE deliveries SET body = x'' WHERE id > ? AND id <= ? AND body != x''"
        self._database.run(emptied, [self._bodies_after, newest - KEPT_BODIES])
        self._bodies_after = newest - KEPT_BODIES
        self._database.run("DELETE FROM seen WHERE at < ?", [self._clock.now() - _SEEN_SECONDS])


class _Batch:
    """The changes of several deliveries, put together job by job, within one transaction."""

    def __init__(self, jobs: Jobs, transitions: Transitions, batch: Sequence[Delivery]) -> None:
        self._jobs, self._transitions = jobs, transitions
        self._by_remote = jobs.by_remotes({each.run.id for each in batch})
        self._changes: dict[str, dict[str, Any]] = {}
        self.urgent: dict[str, None] = {}
        """Jobs with which something is to be done now."""

    def apply(self, delivery: Delivery) -> tuple[str, str]:
        """Take one delivery: (verdict, id of the job)."""
        job = self._job(delivery)
        if not delivery.is_trusted:
            if job is not None:
                self.urgent[job.id] = None
            return ASKED, ""
        if job is None:
            return "unknown job", ""
        values = self._transitions.changes(job, delivery.run)
        if not values:
            return "unchanged", job.id
        self._changes.setdefault(job.id, {}).update(values)
        self._by_remote[delivery.run.id] = job = replace(job, **values)
        if job.results == "waiting":
            self.urgent[job.id] = None
        return "applied", job.id

    def finish(self) -> None:
        """Write the changes."""
        self._jobs.change_many(self._changes)

    def _job(self, delivery: Delivery) -> Job | None:
        """The delivery's job, by the run's id, or by nonce if the answer to its start is not entered yet."""
        found = self._by_remote.get(delivery.run.id)
        if found is not None or not delivery.nonce:
            return found
        waiting = self._jobs.by_nonce(delivery.nonce)
        is_its = waiting is not None and waiting.remote_id is None and is_of(waiting, delivery.run)
        return waiting if is_its else None
