"""A console that is killed while all kinds of work run at once: what it has acknowledged, holds."""

import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from luxscaler.console.database import FILE_NAME
from luxscaler.replicate.signing import new_id
from tests.support.console_server import ConsoleServer, console_process, console_server
from tests.support.replicate_account import Account, Run

_PAUSE = 0.05
"""Seconds between two rounds of each kind of work."""
WEBHOOKS = "/api/webhooks/replicate"


@dataclass
class _World:
    """What a user and Replicate have done, and what the console has acknowledged of it."""

    account: Account
    picture: Path
    rng: random.Random
    submitted: dict[str, str] = field(default_factory=dict)
    """Key to the id of its job, of submits that were answered."""
    keys: list[str] = field(default_factory=list)
    """All that was tried."""
    deleting: set[str] = field(default_factory=set)
    """Jobs whose deletion was tried."""
    deleted: set[str] = field(default_factory=set)
    canceled: set[str] = field(default_factory=set)
    taken: dict[str, str] = field(default_factory=dict)
    """Webhook's id to the run that it said was over, of those that were answered 200."""
    unanswered: list[tuple[str, Run]] = field(default_factory=list)
    """Webhooks that are sent again, with the same id."""

    def submit(self, console: ConsoleServer) -> None:
        """Keys without an answer once more, and a new one."""
        self.keys.append(f"key {len(self.keys)}")
        for key in [key for key in self.keys if key not in self.submitted]:
            body = {"kind": "master", "source": str(self.picture), "name": key, "idempotency_key": key}
            answer = console.post("/api/cloud/jobs/submit", json=body)
            assert answer.status_code == 202, answer.text
            self.submitted[key] = answer.json()["job_id"]

    def tell(self, console: ConsoleServer) -> None:
        """Some runs go on or end, and say so; what was not answered is sent again."""
        for run in [*self.account.runs]:
            if run.status in ("starting", "processing") and self.rng.random() < 0.5:
                if run.status == "starting":
                    self.account.tell(run, "processing", logs="begun\n")
                else:
                    self.account.finish(run)
                self.unanswered.append((f"msg_{new_id()}", run))
        for webhook_id, run in [*self.unanswered]:
            body, headers = self.account.webhook(run, webhook_id)
            nonce = run.body["webhook"].partition("?nonce=")[2]
            answer = console.http.post(f"{WEBHOOKS}?nonce={nonce}", content=body, headers=headers)
            assert answer.status_code == 200, answer.text
            self.unanswered.remove((webhook_id, run))
            self.taken[webhook_id] = run.id if run.status == "succeeded" else ""

    def tidy(self, console: ConsoleServer) -> None:
        """Now and then a job that is over is deleted, or one that is not is canceled."""
        jobs = console.get("/api/cloud/jobs", params={"limit": 500}).json()["jobs"]
        for job in self.rng.sample(jobs, min(4, len(jobs))):
            if job["results"] == "here":
                self.deleting.add(job["id"])
                if console.delete(f"/api/cloud/jobs/{job['id']}").status_code == 204:
                    self.deleted.add(job["id"])
            elif self.rng.random() < 0.2:
                console.post(f"/api/cloud/jobs/{job['id']}/cancel").raise_for_status()
                self.canceled.add(job["id"])


@contextmanager
def _over_and_over(
    console: ConsoleServer, works: list[Callable[[ConsoleServer], None]]
) -> Iterator[list[str]]:
    """Each kind of work in a thread of its own, until the console is gone; what went wrong is in the list."""
    wrong: list[str] = []
    over = threading.Event()

    def run(work: Callable[[ConsoleServer], None]) -> None:
        # verify=False: http only; to load certificates would take longer than a console lives here.
        with httpx.Client(base_url=console.url, timeout=30.0, trust_env=False, verify=False) as http:
            own = ConsoleServer(console.url, console.data, http)
            try:
                while not over.wait(_PAUSE):
                    work(own)
            except httpx.TransportError:
                return  # it was killed
            except Exception as error:
                wrong.append(f"{work.__name__}: {error!r}")

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield wrong
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()


@pytest.mark.slow
@pytest.mark.parametrize("kills", [2, pytest.param(100, marks=pytest.mark.long)], ids=["few", "hundred"])
def test_killed_while_everything_runs(account: Account, tmp_path: Path, picture: Path, kills: int) -> None:
    """Submits, uploads, paid calls, polls, webhooks, cancels, deletes, and faults of Replicate's; each
    kill -9 comes at a random moment."""
    rng, faults = random.Random(8), random.Random(9)
    account.fault = lambda call, _number: (
        faults.choice(["drop", "500", "refuse"])
        if call not in ("output", "account", "secret") and faults.random() < 0.05
        else None
    )
    world = _World(account, picture, rng)
    for number in range(kills):
        with console_process(tmp_path, account.url) as console:
            if number == 0:
                console.set(webhook_url="https://host.example", http_timeout=2)
            assert console.process is not None
            with _over_and_over(console, [world.submit, world.tell, world.tidy]) as wrong:
                time.sleep(rng.uniform(0.0, 1.0))
                os.kill(console.process.pid, signal.SIGKILL)
                console.process.wait()
            assert wrong == []
    account.fault = lambda _call, _number: None
    _check(world, tmp_path)


def _check(world: _World, folder: Path) -> None:
    with console_server(folder, world.account.url) as console:
        jobs = _all_jobs(console)
        there = {job["id"] for job in jobs}
        acknowledged = set(world.submitted.values())
        assert acknowledged - there <= world.deleting, "a submit was answered and is lost"
        assert not world.deleted & there, "a deletion was answered and is lost"
        _end_all(world, console, jobs)
        ended = _all_jobs(console)
    states = {job["status"] for job in ended}
    assert states <= {"completed", "canceled"}, [job["error"] for job in ended if job["status"] == "failed"]
    _check_runs(world, folder, ended)


def _all_jobs(console: ConsoleServer) -> list[dict[str, object]]:
    jobs: list[dict[str, object]] = []
    while True:
        page = console.get("/api/cloud/jobs", params={"limit": 500, "offset": len(jobs)}).json()
        jobs += page["jobs"]
        if len(jobs) == page["total"]:
            return jobs


def _end_all(world: _World, console: ConsoleServer, jobs: list[dict[str, object]]) -> None:
    """Every job has its run or its end; then every run ends, and every job with it."""
    for job in jobs:
        console.until_that(
            str(job["id"]),
            lambda found: bool(found["remote_id"]) or found["status"] == "canceled",
            seconds=120,
        )
    for run in world.account.runs:
        if run.status in ("starting", "processing"):
            world.account.finish(run)
    for job in jobs:
        console.until_that(
            str(job["id"]),
            lambda found: found["results"] == "here" or found["status"] in ("canceled", "failed"),
            seconds=120,
        )


def _check_runs(world: _World, folder: Path, ended: list[dict[str, object]]) -> None:
    nonces = [run.body["webhook"].partition("?nonce=")[2] for run in world.account.runs]
    assert len(nonces) == len(set(nonces)), "a job was paid twice"
    with closing(sqlite3.connect(folder / "console" / FILE_NAME)) as database:
        seen = {row[0] for row in database.execute("SELECT webhook_id FROM seen")}
        listed = {row[0] for row in database.execute("SELECT webhook_id FROM deliveries")}
        costs = database.execute("SELECT count(*) FROM costs").fetchone()[0]
        known = database.execute("SELECT count(*) FROM jobs").fetchone()[0]
        forgotten = database.execute("SELECT count(*) FROM past_costs").fetchone()[0]
    assert set(world.taken) <= seen & listed, "a webhook was answered and is lost"
    assert costs == known + forgotten, "a job's cost is lost, or counts twice"
    by_id = {str(job["id"]): job for job in ended}
    assert all(by_id[name]["status"] in ("canceled", "completed") for name in world.canceled & set(by_id))
    by_remote = {str(job["remote_id"]): job for job in ended}
    over = {run for run in world.taken.values() if run in by_remote}
    assert {by_remote[run]["status"] for run in over} <= {"completed", "canceled"}
    # Of each job that was not deleted and not canceled before it was paid, there is one run.
    paid = {str(job["remote_id"]) for job in ended if job["status"] == "completed"}
    assert paid <= {run.id for run in world.account.runs}
