"""A console that is killed at any step: no paid call is made twice, none is lost."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from luxscaler.clock import Clock
from luxscaler.console.database import FILE_NAME, Database
from luxscaler.console.jobs import Jobs
from tests.support.console_server import ConsoleServer, console_process, console_server
from tests.support.gateway_server import free_port
from tests.support.replicate_account import Account

BODY = {"kind": "master", "name": "the one"}


def _kill_when(console: ConsoleServer, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    assert console.process is not None
    os.kill(console.process.pid, signal.SIGKILL)
    console.process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("call", ["versions", "upload", "create", "get"])
def test_killed_while_a_call_is_under_way(account: Account, tmp_path: Path, picture: Path, call: str) -> None:
    """The call is carried out, and its answer never comes: the console is dead when it would."""
    account.fault = lambda kind, number: "drop" if kind == call and number == 1 else None
    with console_process(tmp_path, account.url) as console:
        job = console.submit(**BODY, source=str(picture))
        _kill_when(console, lambda: account.calls[call] >= 1)
    with console_server(tmp_path, account.url) as again:
        again.until(job, "queued", seconds=60)
        assert len(account.runs) == 1
        account.finish(account.runs[0])
        assert again.until_that(job, lambda found: found["results"] == "here")["status"] == "completed"
        assert again.get("/api/cloud/jobs").json()["total"] == 1
    assert len(account.runs) == 1


@pytest.mark.sample(1)
@pytest.mark.parametrize("fault", ["drop", "500", "refuse"])
def test_a_lost_answer_is_looked_up_and_the_call_not_repeated(
    account: Account, console: ConsoleServer, picture: Path, fault: str
) -> None:
    """drop: it was carried out. 500, refuse: it was not, and is made again once that is sure."""
    account.fault = lambda kind, number: fault if kind == "create" and number == 1 else None
    console.set(http_timeout=1)  # and no longer is the answer waited for
    job = console.submit(**BODY, source=str(picture))
    console.until(job, "queued", seconds=60)
    assert len(account.runs) == 1
    assert account.calls["create"] == (1 if fault == "drop" else 2)


def test_a_webhook_that_is_faster_than_the_answer(
    account: Account, console: ConsoleServer, picture: Path
) -> None:
    """The answer to the paid call is lost, and the list fails: the nonce in the webhook's address counts."""
    console.set(webhook_url="https://host.example")
    account.fault = lambda kind, _number: {"create": "drop", "list": "500"}.get(kind)
    job = console.submit(**BODY, source=str(picture))
    deadline = time.monotonic() + 30
    while not account.runs:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run = account.runs[0]
    account.tell(run, "processing")
    body, headers = account.webhook(run)
    nonce = run.body["webhook"].partition("?nonce=")[2]
    wrong = console.http.post("/api/webhooks/replicate?nonce=other", content=body, headers=headers)
    assert wrong.json() == {"verdict": "unknown job"}
    body, headers = account.webhook(run)
    right = console.http.post(f"/api/webhooks/replicate?nonce={nonce}", content=body, headers=headers)
    assert right.json() == {"verdict": "applied"}
    assert console.job(job)["status"] == "running"
    assert account.calls["create"] == 1


@pytest.mark.slow
def test_a_job_outlives_its_deadline_by_no_more_than_the_overtime(
    account: Account, tmp_path: Path, picture: Path
) -> None:
    with console_server(tmp_path, account.url) as console:
        job = console.submit(**BODY, source=str(picture), max_minutes=1)
        console.until(job, "queued")
    late = _LateClock()
    account.fault = lambda kind, _number: "500" if kind in ("get", "cancel") else None
    with console_server(tmp_path, account.url, clock=late, overtime_seconds=60.0) as console:
        found = console.until_that(job, lambda found: found["cancel_reason"] != "")
        assert found["status"] == "queued"
        late.ahead = 200.0
        done = console.until(job, "failed")
    assert "deadline" in done["error"]
    assert done["cost"] == pytest.approx(done["reserved"])


class _LateClock(Clock):
    """Some seconds ahead."""

    ahead = 90.0

    def now(self) -> float:
        return super().now() + self.ahead


@pytest.mark.slow
def test_a_wish_to_cancel_survives_while_no_console_runs(
    account: Account, tmp_path: Path, picture: Path
) -> None:
    with console_server(tmp_path, account.url) as console:
        job = console.submit(**BODY, source=str(picture))
        console.until(job, "queued")
    database = Database(tmp_path / "console" / FILE_NAME)
    assert Jobs(database, Clock()).ask_to_cancel(job, "canceled by the user")
    database.close()
    with console_server(tmp_path, account.url) as console:
        console.until(job, "canceled")
    assert account.runs[0].status == "canceled"


def test_canceled_while_uploading_nothing_is_paid(account: Account, tmp_path: Path, picture: Path) -> None:
    account.fault = lambda kind, _number: "500" if kind == "upload" else None
    with console_server(tmp_path, account.url) as console:
        job = console.submit(**BODY, source=str(picture))
        console.until(job, "uploading")
        console.post(f"/api/cloud/jobs/{job}/cancel")
        done = console.until(job, "canceled", seconds=60)
    assert done["cost"] == 0.0
    assert account.calls["create"] == 0


@pytest.mark.slow
def test_two_consoles_do_not_share_a_folder(account: Account, console: ConsoleServer, tmp_path: Path) -> None:
    """They would pay for the same jobs."""
    command = [sys.executable, "-m", "luxscaler.cli.main", "server", f"--data={console.data}"]
    done = subprocess.run(
        [*command, f"--port={free_port()}"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr == f"error: another console works in the folder {str(console.data)!r}\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kills", "seed"), [(2, 11), pytest.param(100, 5, marks=pytest.mark.long)], ids=["few", "hundred"]
)
def test_killed_at_random_moments_around_paid_calls(
    account: Account, tmp_path: Path, picture: Path, kills: int, seed: int
) -> None:
    """Each kill -9 comes a random moment after a paid call (or any other of a job's calls) has begun.

    Whoever is not sure whether a submit was taken repeats it; calls fail now and then. In the end there is
    one run for each job, and one result for each run.
    """
    rng = random.Random(seed)
    faults = random.Random(seed + 1)

    def fault(call: str, _number: int) -> str | None:
        if call in ("output", "account") or faults.random() > 0.15:
            return None
        return faults.choice(["drop", "500", "refuse"])

    account.fault = fault
    keys: list[str] = []
    for number in range(kills):
        keys += [f"job {number} {each}" for each in range(rng.randrange(1, 3))]
        awaited = rng.choice(["create", "create", "create", "upload", "list", "get"])
        with console_process(tmp_path, account.url) as console:
            calls = account.calls[awaited]
            for key in keys[-4:]:
                body = {**BODY, "source": str(picture), "idempotency_key": key}
                assert console.post("/api/cloud/jobs/submit", json=body).status_code == 202
            deadline = time.monotonic() + 1.0  # there may be nothing left to call
            while account.calls[awaited] == calls and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(rng.choice([0.0, rng.uniform(0.0, 0.02), rng.uniform(0.0, 0.3)]))
            assert console.process is not None
            os.kill(console.process.pid, signal.SIGKILL)
            console.process.wait()
        for run in [*account.runs]:
            if run.status == "starting" and rng.random() < 0.3:
                account.finish(run)
    account.fault = lambda _call, _number: None
    _check_one_run_each(account, tmp_path, keys)


def _check_one_run_each(account: Account, folder: Path, keys: list[str]) -> None:
    with console_server(folder, account.url) as console:
        listed = console.get("/api/cloud/jobs", params={"limit": 500}).json()["jobs"]
        assert sorted(job["key"] for job in listed) == sorted(keys)
        for job in listed:
            found = console.until_that(job["id"], lambda found: found["remote_id"] is not None, seconds=120)
            assert found["status"] != "failed", found["error"]
        for run in account.runs:
            if run.status == "starting":
                account.finish(run)
        for job in listed:
            done = console.until_that(job["id"], lambda found: found["results"] == "here", seconds=120)
            assert done["status"] == "completed"
    remote = [str(console_run.id) for console_run in account.runs]
    assert len(remote) == len(set(remote)) == len(keys)


@pytest.mark.slow
def test_what_may_have_been_paid_is_not_given_up_while_it_cannot_be_looked_up(
    account: Account, console: ConsoleServer, picture: Path
) -> None:
    account.fault = lambda kind, _number: {"create": "drop", "list": "401"}.get(kind)
    job = console.submit(**BODY, source=str(picture))
    deadline = time.monotonic() + 30
    while account.calls["list"] < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    found = console.job(job)
    assert (found["status"], found["cost"]) == ("uploading", None)
    account.fault = lambda _kind, _number: None
    console.until(job, "queued")
    assert len(account.runs) == 1


def test_a_call_that_is_refused_ends_the_job_for_nothing(
    account: Account, console: ConsoleServer, picture: Path
) -> None:
    account.fault = lambda kind, _number: "422" if kind == "create" else None
    done = console.until(console.submit(**BODY, source=str(picture)), "failed")
    assert "told to 422" in done["error"]
    assert done["cost"] == 0.0
