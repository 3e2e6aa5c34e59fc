"""Webhooks as they arrive: checked, noted with a verdict, and applied once whatever is sent how often.

    address → signature → JSON → seen before? → known job → transitions.py

A delivery's id and its effect are written in one transaction, so after a crash it either counts or does not.
Polling covers whatever is lost on the way.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from luxscaler.clock import Clock
from luxscaler.console.group_commit import GroupCommit
from luxscaler.console.jobs import Job, Jobs
from luxscaler.console.provider import Provider
from luxscaler.console.provider_settings import ProviderSettings, networks
from luxscaler.console.sending import is_of
from luxscaler.console.transitions import Transitions
from luxscaler.gateway.limits import RateLimit
from luxscaler.gateway.problems import Problem
from luxscaler.gateway.strict_json import read_json
from luxscaler.replicate.runs import RemoteRun, run_in
from luxscaler.replicate.signing import webhook_refusal

_KEPT_DELIVERIES = 1000
_KEPT_BODY = 256 * 1024
"""Bytes of a body that are kept for a replay; of a larger one, nothing."""
_SEEN_SECONDS = 86400.0
"""Replicate repeats a webhook for a minute, and its time has to be right."""
_REFUSALS_PER_MINUTE = 120
ASKED = "asked"


@dataclass(frozen=True)
class Arrived:
    """A webhook as it came."""

    peer: str
    """The connection's address."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = field(repr=False)
    nonce: str = ""
    """Of the address that it was sent to."""


class Receiver:
    """The webhooks of one console."""

    def __init__(self, provider: Provider, jobs: Jobs, transitions: Transitions, clock: Clock) -> None:
        self._provider, self._jobs = provider, jobs
        self._transitions, self._clock = transitions, clock
        self._commits = GroupCommit(jobs.database)
        self._refusals = RateLimit(_REFUSALS_PER_MINUTE)

    def receive(self, arrived: Arrived) -> str:
        """The verdict: applied, unchanged, duplicate, unknown job; or asked, if signatures are not required:
        what anybody may have sent changes nothing by itself, but Replicate is asked at once.

        Raises Problem: 400, 401, 403, 429; 502 and 503 if the secret is not known and cannot be fetched.
        """
        settings = self._provider.provider_settings.get()
        try:
            self._check_address(arrived, settings)
            self._check_signature(arrived, settings)
            run = _read(arrived.body)
        except Problem as problem:
            self._refuse(arrived, problem)
            raise
        if settings.webhook_require_signature:
            return self._commits.run(lambda: self._apply(arrived, run))
        self._note(arrived, ASKED, 200, "")
        return ASKED

    def deliveries(self, limit: int) -> list[dict[str, Any]]:
        """The newest first."""
        rows = self._jobs.database.rows(
            "SELECT id, webhook_id, received_at, verdict, status, job, length(body) AS kept_bytes "
            "FROM deliveries ORDER BY id DESC LIMIT ?",
            [limit],
        )
        return [dict(row) for row in rows]

    def replay(self, number: int) -> str:
        """Apply a delivery once more; its verdict. Raises Problem: 404, 409 if it was refused or not kept."""
        rows = self._jobs.database.rows("SELECT status, job, body FROM deliveries WHERE id = ?", [number])
        if not rows:
            raise Problem(404, f"There is no delivery {number}")
        status, _, body = rows[0]
        if status != 200 or not body:
            raise Problem(409, f"Delivery {number} was refused, or its body was too large to be kept")
        run = _read(bytes(body))
        job = self._job(run, "")
        return "unknown job" if job is None else self._transition(job, run)

    def _apply(self, arrived: Arrived, run: RemoteRun) -> str:
        webhook_id, now = arrived.headers.get("webhook-id", ""), self._clock.now()
        database = self._jobs.database
        with database.transaction():
            if webhook_id:
                sql = "INSERT OR IGNORE INTO seen (webhook_id, at) VALUES (?, ?)"
                if not database.run(sql, [webhook_id, now]):
                    self._note(arrived, "duplicate", 200, "")
                    return "duplicate"
                database.run("DELETE FROM seen WHERE at < ?", [now - _SEEN_SECONDS])
            job = self._job(run, arrived.nonce)
            verdict = "unknown job" if job is None else self._transition(job, run)
            self._note(arrived, verdict, 200, job.id if job else "")
        return verdict

    def _transition(self, job: Job, run: RemoteRun) -> str:
        return "applied" if self._transitions.apply(job, run) else "unchanged"

    def _job(self, run: RemoteRun, nonce: str) -> Job | None:
        """By the run's id; or by nonce, if the answer to its start has not been entered yet."""
        found = self._jobs.by_remote(run.id)
        if found is not None or not nonce:
            return found
        waiting = self._jobs.by_nonce(nonce)
        return waiting if waiting is not None and waiting.remote_id is None and is_of(waiting, run) else None

    def _check_address(self, arrived: Arrived, settings: ProviderSettings) -> None:
        if not settings.webhook_allowed_ips:
            return
        address = sender_address(arrived, settings)
        if not _inside(address, settings.webhook_allowed_ips):
            raise Problem(403, f"The address {address} is not among webhook_allowed_ips")

    def _check_signature(self, arrived: Arrived, settings: ProviderSettings) -> None:
        if not settings.webhook_require_signature:
            return
        if "webhook-signature" not in arrived.headers:
            raise Problem(401, "reached; unsigned: the webhook has no signature")
        refusal = self._refusal(arrived, self._provider.webhook_secret())
        if refusal == "its signature is not right":
            refusal = self._refusal(arrived, self._provider.webhook_secret(renewed=True))
        if refusal:
            raise Problem(401, f"reached; {refusal}")

    def _refusal(self, arrived: Arrived, secret: str) -> str:
        return webhook_refusal(secret, arrived.headers, arrived.body, self._clock.now())

    def _refuse(self, arrived: Arrived, problem: Problem) -> None:
        """Note it; a flood of refused ones is not worth the disk. Raises Problem (429)."""
        if not self._refusals.ask(self._clock.now()).allowed:
            raise Problem(429, "Too many webhooks were refused in the last minute") from problem
        self._note(arrived, str(problem), problem.status, "")

    def _note(self, arrived: Arrived, verdict: str, status: int, job: str) -> None:
        body = arrived.body if status == 200 and len(arrived.body) <= _KEPT_BODY else b""
        webhook_id = arrived.headers.get("webhook-id", "")[:200]
        database = self._jobs.database
        with database.transaction():
            database.run(
                "INSERT INTO deliveries (webhook_id, received_at, verdict, status, job, body) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                [webhook_id, self._clock.now(), verdict, status, job, body],
            )
            newest = "SELECT max(id) FROM deliveries"
            database.run(f"DELETE FROM deliveries WHERE id <= ({newest}) - ?", [_KEPT_DELIVERIES])  # noqa: S608


def sender_address(arrived: Arrived, settings: ProviderSettings) -> str:
    """Who sent it: the connection's other end, or what trusted proxies say, read from the right."""
    address = arrived.peer
    hops = [hop.strip() for hop in arrived.headers.get("x-forwarded-for", "").split(",") if hop.strip()]
    while hops and _inside(address, settings.trusted_proxies):
        address = hops.pop()
    return address


def _inside(address: str, texts: tuple[str, ...]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in networks(texts))


def _read(body: bytes) -> RemoteRun:
    try:
        return run_in(read_json(body))
    except ValueError as error:
        raise Problem(400, f"The body is neither a prediction nor a training: {error}") from error
