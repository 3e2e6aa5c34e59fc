"""Webhooks: who may send them, what they change, and that each counts once."""

import json
import random
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from luxscaler.console.webhooks import Room
from luxscaler.replicate.signing import TOLERANCE_SECONDS, new_id, webhook_headers
from tests.support.console_server import ConsoleServer, console_server
from tests.support.replicate_account import SECRET, Account, Run

PATH = "/api/webhooks/replicate"


@pytest.fixture
def deaf(account: Account, tmp_path: Path) -> Iterator[ConsoleServer]:
    """A console that hears of runs by webhooks alone."""
    with console_server(tmp_path, account.url, poll_seconds=3600.0) as running:
        yield running


def _queued(account: Account, console: ConsoleServer, picture: Path) -> tuple[str, Run]:
    job = console.submit(kind="master", source=str(picture))
    console.until(job, "queued")
    return job, account.runs[-1]


def _send(console: ConsoleServer, body: bytes, headers: dict[str, str], **options: Any) -> httpx.Response:
    return console.http.post(PATH, content=body, headers=headers, **options)


def test_a_webhook_brings_a_job_on(account: Account, deaf: ConsoleServer, picture: Path) -> None:
    job, run = _queued(account, deaf, picture)
    account.tell(run, "processing", logs="begun\n")
    assert _send(deaf, *account.webhook(run)).json() == {"verdict": "applied"}
    assert deaf.job(job)["status"] == "running"
    account.finish(run)
    assert _send(deaf, *account.webhook(run)).json() == {"verdict": "applied"}
    assert deaf.until_that(job, lambda found: found["results"] == "here")["status"] == "completed"
    run.status = "processing"
    assert _send(deaf, *account.webhook(run)).json() == {"verdict": "unchanged"}
    assert deaf.job(job)["status"] == "completed"


@pytest.mark.slow
def test_what_the_reference_signs_is_taken(account: Account, deaf: ConsoleServer, picture: Path) -> None:
    _, run = _queued(account, deaf, picture)
    account.tell(run, "processing")
    body, headers = account.webhook(run)
    Webhook(SECRET).verify(body, headers)
    assert _send(deaf, body, headers).status_code == 200


def test_the_guides_curl_is_told_that_it_arrived(deaf: ConsoleServer) -> None:
    answer = _send(deaf, b"{}", {"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 401
    assert answer.json()["detail"].startswith("reached; unsigned")


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"webhook-signature": "v1,AAAA"}, 401),
        ({"webhook-signature": "no comma"}, 401),
        ({"webhook-signature": "v2,AAAA"}, 401),
        ({"webhook-id": "msg_another"}, 401),
        ({"webhook-timestamp": "soon"}, 401),
        ({"webhook-timestamp": "9" * 30}, 401),
        ({"webhook-timestamp": "١٢٣"}, 401),
    ],
)
def test_what_is_not_signed_right_changes_nothing(
    account: Account, deaf: ConsoleServer, picture: Path, change: dict[str, str], status: int
) -> None:
    job, run = _queued(account, deaf, picture)
    account.finish(run)
    body, headers = account.webhook(run)
    encoded = [(name.encode(), value.encode()) for name, value in {**headers, **change}.items()]
    answer = deaf.http.post(PATH, content=body, headers=encoded)
    assert answer.status_code == status
    assert deaf.job(job)["status"] == "queued"
    newest = deaf.get("/api/webhooks/deliveries").json()["deliveries"][0]
    assert newest["status"] == status
    assert newest["kept_bytes"] == 0


@pytest.mark.parametrize("seconds", [-TOLERANCE_SECONDS - 30, TOLERANCE_SECONDS + 30])
def test_an_old_or_future_one_is_refused(deaf: ConsoleServer, account: Account, seconds: int) -> None:
    headers = webhook_headers(SECRET, "msg_1", int(account.clock.now()) + seconds, b"{}")
    answer = _send(deaf, b"{}", headers)
    assert answer.status_code == 401
    assert "300 s" in answer.json()["detail"]


@pytest.mark.sample(2)
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"id": 7}', b"\xff\xfe", b"[" * 5000])
def test_what_is_signed_and_is_no_run_is_400(deaf: ConsoleServer, account: Account, body: bytes) -> None:
    headers = webhook_headers(SECRET, f"msg_{new_id()}", int(account.clock.now()), body)
    assert _send(deaf, body, headers).status_code == 400


@pytest.mark.slow
def test_the_secret_is_fetched_again_once_when_it_was_changed(
    account: Account, deaf: ConsoleServer, picture: Path
) -> None:
    _, run = _queued(account, deaf, picture)
    assert _send(deaf, *account.webhook(run)).status_code == 200
    assert account.calls["secret"] == 1
    assert (deaf.data / "secrets" / "webhook-secret").stat().st_mode & 0o777 == 0o600
    account.secret = "whsec_" + "A" * 32
    for _ in range(5):  # not so soon: whoever sends nonsense must not make us ask on and on
        assert _send(deaf, *account.webhook(run)).status_code == 401
    assert account.calls["secret"] == 1


def test_an_unknown_run_is_taken_without_effect(account: Account, deaf: ConsoleServer) -> None:
    run = Run("a" * 26, "predictions", {"input": {}}, account.clock.now(), "succeeded")
    assert _send(deaf, *account.webhook(run)).json() == {"verdict": "unknown job"}


def test_addresses_are_held_to_the_allowlist(account: Account, deaf: ConsoleServer) -> None:
    run = Run("a" * 26, "predictions", {"input": {}}, account.clock.now())
    deaf.set(webhook_allowed_ips=["34.82.0.0/16"])
    answer = _send(deaf, *account.webhook(run))
    assert answer.status_code == 403
    assert "127.0.0.1" in answer.json()["detail"]
    body, headers = account.webhook(run)
    forwarded = {**headers, "X-Forwarded-For": "34.82.1.1"}
    assert _send(deaf, body, forwarded).status_code == 403  # anybody can write that
    deaf.set(trusted_proxies=["127.0.0.0/8"])
    assert _send(deaf, body, forwarded).status_code == 200
    lied = {**headers, "X-Forwarded-For": "34.82.1.1, 203.0.113.9"}
    assert _send(deaf, body, lied).status_code == 403


def test_a_large_body_is_refused_unread(account: Account, tmp_path: Path) -> None:
    with console_server(tmp_path, account.url, max_webhook_bytes=1000) as console:
        assert _send(console, b"x" * 1001, {}).status_code == 413
        pieces = (b"x" * 100 for _ in range(10**4))
        assert console.http.post(PATH, content=pieces).status_code == 413
        assert console.put("/api/cloud/providers/replicate", {"model": "a" * 2**21}).status_code == 413


@pytest.mark.slow
def test_a_flood_of_refused_ones_is_429(deaf: ConsoleServer) -> None:
    codes = [_send(deaf, b"{}", {}).status_code for _ in range(125)]
    assert codes == [401] * 120 + [429] * 5


@pytest.mark.slow
def test_where_too_many_wait_the_sender_is_told_to_come_again(
    account: Account, tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing piles up without bound, and what was refused counts when it comes again."""
    monkeypatch.setattr("luxscaler.console.webhooks.Room", lambda: Room(most=3))
    with console_server(tmp_path, account.url, poll_seconds=3600.0) as console:
        _, run = _queued(account, console, picture)
        sent = [account.webhook(run, f"msg_{number}") for number in range(12)]
        assert _send(console, *sent[0]).status_code == 200
        # A writer of another process holds the database: what comes meanwhile waits.
        blocker = sqlite3.connect(console.data / "console.sqlite3", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(len(sent)) as pool:
            answers = [pool.submit(_send, console, *each) for each in sent[1:]]
            deadline = time.monotonic() + 8  # the database is waited for a little longer
            while len((found := wait(answers, timeout=0.05)).done) < 8 and time.monotonic() < deadline:
                pass
            done, waiting = found
            blocker.execute("ROLLBACK")
            blocker.close()
        refused = [each.result() for each in done]
        assert [each.status_code for each in refused] == [503] * 8
        assert all(each.headers["retry-after"] == "2" for each in refused)
        assert [each.result().status_code for each in waiting] == [200] * 3
        verdicts = [_send(console, *each).json()["verdict"] for each in sent]
        assert verdicts.count("duplicate") == 4
        assert console.get("/api/webhooks/deliveries").json()["total"] == 24 - 8


@pytest.mark.slow
def test_an_id_counts_once_however_often_it_comes(account: Account, tmp_path: Path, picture: Path) -> None:
    """Shuffled, and across a restart."""
    _deliver_shuffled(account, tmp_path, picture, ids=15, times=4)


@pytest.mark.slow
@pytest.mark.long
def test_ten_thousand_deliveries_of_a_thousand_ids(account: Account, tmp_path: Path, picture: Path) -> None:
    _deliver_shuffled(account, tmp_path, picture, ids=1000, times=10)


def _deliver_shuffled(account: Account, folder: Path, picture: Path, ids: int, times: int) -> None:
    with console_server(folder, account.url, poll_seconds=3600.0) as console:
        job, run = _queued(account, console, picture)
        sent = []
        for number in range(ids):
            account.tell(run, "processing", logs=f"line {number}\n")
            sent += [account.webhook(run, f"msg_{number:04d}")] * times
        random.Random(7).shuffle(sent)
        first = [_send(console, *each).json()["verdict"] for each in sent[: len(sent) // 2]]
    with console_server(folder, account.url, poll_seconds=3600.0) as console:
        rest = [_send(console, *each).json()["verdict"] for each in sent[len(sent) // 2 :]]
        verdicts = first + rest
        assert len(verdicts) - verdicts.count("duplicate") == ids
        assert verdicts.count("applied") >= 1
        logs = console.get(f"/api/cloud/jobs/{job}/logs").text
    assert logs == run.logs
    with sqlite3.connect(folder / "console" / "console.sqlite3") as database:
        assert database.execute("SELECT count(*) FROM seen").fetchone() == (ids,)


@pytest.mark.slow
def test_deliveries_are_listed_and_can_be_replayed(
    account: Account, deaf: ConsoleServer, picture: Path
) -> None:
    job, run = _queued(account, deaf, picture)
    account.tell(run, "processing")
    _send(deaf, *account.webhook(run))
    _send(deaf, b"{}", {})
    refused, applied = deaf.get("/api/webhooks/deliveries").json()["deliveries"]
    assert (applied["verdict"], applied["job"]) == ("applied", job)
    assert deaf.post(f"/api/webhooks/deliveries/{applied['id']}/replay").json() == {"verdict": "unchanged"}
    assert deaf.post(f"/api/webhooks/deliveries/{refused['id']}/replay").status_code == 409
    assert deaf.post("/api/webhooks/deliveries/999/replay").status_code == 404


def test_the_public_address_is_tested_by_a_signed_webhook(account: Account, deaf: ConsoleServer) -> None:
    assert deaf.post("/api/webhooks/test").status_code == 409
    deaf.set(webhook_url=deaf.url)
    assert deaf.post("/api/webhooks/test").json()["reachable"] is True
    deaf.set(webhook_url=account.url)
    elsewhere = deaf.post("/api/webhooks/test").json()
    assert elsewhere["reachable"] is False
    assert "did not arrive here" in elsewhere["detail"]
    deaf.set(webhook_url="http://127.0.0.1:9")
    assert "cannot be reached" in deaf.post("/api/webhooks/test").json()["detail"]


def test_the_paid_call_names_the_address_with_a_nonce(
    account: Account, deaf: ConsoleServer, picture: Path
) -> None:
    deaf.set(webhook_url="https://host.example")
    _, run = _queued(account, deaf, picture)
    assert run.body["webhook"].startswith(f"https://host.example{PATH}?nonce=")
    assert run.body["webhook_events_filter"] == ["start", "completed"]
    assert json.dumps(run.body).count(run.body["webhook"].partition("=")[2]) == 1


@pytest.mark.slow
def test_without_a_signature_replicate_is_asked_and_not_believed(
    account: Account, deaf: ConsoleServer, picture: Path
) -> None:
    deaf.set(webhook_require_signature=False)
    job, run = _queued(account, deaf, picture)
    lie = {**account.document(run), "status": "succeeded", "output": "http://127.0.0.1:1/secret"}
    assert _send(deaf, json.dumps(lie).encode(), {}).json() == {"verdict": "asked"}
    account.tell(run, "processing")
    assert _send(deaf, json.dumps(lie).encode(), {}).json() == {"verdict": "asked"}
    found = deaf.until(job, "running", "completed")
    assert found["status"] == "running"
