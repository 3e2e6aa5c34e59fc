"""A console among strangers: odd bodies, addresses and names, slow and many clients."""

import contextlib
import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from luxscaler.clock import Clock
from luxscaler.console.settings import Settings
from luxscaler.console.state import running_console
from luxscaler.errors import ConsoleError
from luxscaler.replicate.runs import AccountApi
from tests.support.console_server import ConsoleServer, console_server
from tests.support.replicate_account import Account, Run

SUBMIT = "/api/cloud/jobs/submit"
SETTINGS = "/api/cloud/providers/replicate"
HALF = b"POST /api/webhooks/replicate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
MOST = 30
"""Connections at once."""


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleServer]:
    """One for all tests that leave nothing in it; Replicate does not answer."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "pictures").mkdir()
    (folder / "pictures" / "a.png").write_bytes(b"one")
    (folder / "scan.png").write_bytes(b"two")
    with console_server(
        folder, "http://127.0.0.1:9", head_seconds=0.4, max_connections=MOST, max_body_bytes=200_000
    ) as console:
        console.http.headers["Connection"] = "close"  # one that is kept would be ended while it waits
        yield console


def _posted(console: ConsoleServer, path: str, body: str, method: str = "POST") -> httpx.Response:
    return console.http.request(method, path, content=body, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize(
    ("inputs", "status"),
    [
        ('{"a": NaN}', 400),
        ('{"a": 1e999}', 400),
        ('{"a": [-Infinity]}', 400),
        ('{"a": 1' + "0" * 400 + "}", 400),
        ('{"a": 1' + "0" * 10_000 + "}", 400),
        ('{"a": ' + "[" * 200 + "]" * 200 + "}", 400),
        ('{"a": ' + "[" * 90_000 + "]" * 90_000 + "}", 400),
        ('{"a": "\\ud800"}', 422),
        ('{"\\udfff": 1}', 422),
    ],
)
def test_what_no_reply_could_hold_is_refused_and_makes_no_job(
    quick: ConsoleServer, inputs: str, status: int
) -> None:
    folder = quick.data.parent / "pictures"
    body = f'{{"kind": "training", "source": "{folder}", "destination": "a/b", "inputs": {inputs}}}'
    answer = _posted(quick, SUBMIT, body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert quick.get("/api/cloud/jobs").json()["total"] == 0


@pytest.mark.parametrize(
    "source",
    [
        "https://[",
        "https://[::1",
        "https://",
        "https://a b/",
        "https://host:99999/x",
        "~nobody-has-this-name/x",
    ],
)
def test_a_source_that_is_no_address_or_path(quick: ConsoleServer, source: str) -> None:
    for path in (SUBMIT, "/api/cloud/estimate"):
        answer = quick.post(path, json={"kind": "master", "source": source})
        assert answer.status_code == 422
        assert answer.json()["field"] == "source"


def test_a_name_that_no_file_can_have(quick: ConsoleServer) -> None:
    answer = quick.post(SUBMIT, json={"kind": "master", "source": str(quick.data.parent / ("a" * 3000))})
    assert answer.status_code == 422
    assert "cannot be read: File name too long" in answer.json()["detail"]


def test_a_container_that_is_no_address(quick: ConsoleServer) -> None:
    for cog in ("http://[", "http://a b/", "http://:5000", "ftp://x", 5, "http://x/\r\n"):
        body = {"kind": "master", "source": str(quick.data.parent / "scan.png"), "place": "here"}
        answer = quick.post(SUBMIT, json={**body, "inputs": {"cog": cog}})
        assert answer.status_code == 422, cog
        assert answer.json()["input"] == "cog"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook_url", '"http://["'),
        ("proxy_url", '"http://me:hush@["'),
        ("deliver_s3_endpoint", '"http://["'),
        ("ssl_ca_bundle", '"/' + "a" * 1500 + '"'),
        ("hardware_prices", '{"cpu": 0}'),
        ("hardware_prices", '{"cpu": 1e-9}'),
        ("max_minutes", "1" + "0" * 300),
    ],
)
def test_a_setting_that_cannot_be_is_named(quick: ConsoleServer, name: str, value: str) -> None:
    answer = _posted(quick, SETTINGS, f'{{"{name}": {value}}}', "PUT")
    assert answer.status_code == 400, answer.text
    assert answer.json()["field"] == name
    assert "hush" not in answer.text


def test_an_origin_that_is_no_address_is_another_place(quick: ConsoleServer) -> None:
    assert quick.post(SUBMIT, json={}, headers={"Origin": "http://["}).status_code == 403


def test_a_number_that_no_delivery_has(quick: ConsoleServer) -> None:
    assert quick.post(f"/api/webhooks/deliveries/{10**30}/replay").status_code == 422


def test_a_body_that_grows_too_large_says_so(quick: ConsoleServer) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(30):
            yield b" " * 10_000

    answer = quick.http.post(SUBMIT, content=pieces(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.sample(1)
@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", HALF])
def test_a_request_that_never_comes_whole_is_ended(quick: ConsoleServer, start: bytes) -> None:
    with _connected(quick) as client:
        client.sendall(start)
        client.settimeout(10.0)
        with contextlib.suppress(ConnectionError):
            assert client.recv(1) == b""


def test_more_half_webhooks_than_there_is_room_for_make_it_deaf_to_nobody(quick: ConsoleServer) -> None:
    half = []
    for _ in range(3 * MOST):
        client = _connected(quick)
        client.sendall(HALF)
        half.append(client)
    try:
        assert quick.get("/api/health/ready").status_code == 200
    finally:
        for client in half:
            client.close()


def _connected(console: ConsoleServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", httpx.URL(console.url).port or 80), 5.0)


def test_a_webhook_that_does_not_come_to_its_end_gives_its_room_back(
    console: ConsoleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("luxscaler.console.routes.deliveries._BODY_SECONDS", 0.2)
    with _connected(console) as client:
        client.sendall(HALF)
        client.settimeout(10.0)
        assert client.recv(100).startswith(b"HTTP/1.1 408 ")


def test_two_lengths_of_one_body_are_refused(quick: ConsoleServer) -> None:
    """A proxy that goes by the other one would take the rest for a request of somebody else's."""
    request = (
        b"POST /api/webhooks/replicate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    with _connected(quick) as client:
        client.sendall(request)
        assert client.recv(100).startswith(b"HTTP/1.1 400 ")


def test_a_console_whose_certificates_are_gone_starts_and_can_be_told_others(
    account: Account, tmp_path: Path
) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    with console_server(tmp_path, account.url) as console:
        console.set(ssl_ca_bundle=str(bundle), webhook_allowed_ips=["34.82.0.0/16"])
    bundle.unlink()
    with console_server(tmp_path, account.url) as console:
        assert console.get(SETTINGS).json()["webhook_allowed_ips"] == ["34.82.0.0/16"]
        refused = console.get(f"{SETTINGS}/validate")
        assert (refused.status_code, refused.json()["field"]) == (502, "ssl_ca_bundle")
        console.set(ssl_ca_bundle="")
        assert console.get(f"{SETTINGS}/validate").json()["valid"]


def test_a_folder_that_may_not_be_read_is_not_left_out(
    quick: ConsoleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = quick.data.parent / "pictures"
    (folder / "closed").mkdir(exist_ok=True)
    found = _scandir_without(folder / "closed")
    monkeypatch.setattr("luxscaler.console.packing.os.scandir", found)
    answer = quick.post(SUBMIT, json={"kind": "training", "source": str(folder), "destination": "a/b"})
    assert answer.status_code == 422
    assert "cannot be read: Permission denied" in answer.json()["detail"]


def _scandir_without(closed: Path) -> Callable[..., object]:
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path) == str(closed):
            raise PermissionError(13, "Permission denied")
        return real(path)

    return scandir


def test_an_upload_on_a_full_disk_says_so_and_leaves_nothing(
    quick: ConsoleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("luxscaler.console.pictures.Pictures.finish", full)
        answer = quick.post("/api/upscale/pictures", content=b"x" * 1000)
    assert answer.status_code == 507
    assert "disk is full" in answer.json()["detail"]
    assert list((quick.data / "pictures").iterdir()) == []


def test_a_secret_that_cannot_be_kept_is_a_507_and_the_next_webhook_counts(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run = Run("a" * 26, "predictions", {"input": {}}, account.clock.now())
    body, headers = account.webhook(run)
    with console_server(tmp_path, account.url) as console:
        with monkeypatch.context() as patched:
            patched.setattr("luxscaler.console.token.write_private", full)
            refused = console.http.post("/api/webhooks/replicate", content=body, headers=headers)
        assert (refused.status_code, "No space left" in refused.text) == (507, True)
        taken = console.http.post("/api/webhooks/replicate", content=body, headers=headers)
        assert taken.json() == {"verdict": "unknown job"}


@pytest.mark.slow
def test_webhooks_that_wait_for_the_secret_leave_threads_for_the_page(
    account: Account, console: ConsoleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replicate does not answer, and every webhook may be the first of an account."""
    asked, go = threading.Semaphore(0), threading.Event()

    def slow(_: AccountApi) -> str:
        asked.release()
        assert go.wait(20)
        return account.secret

    monkeypatch.setattr(AccountApi, "webhook_secret", slow)
    body, headers = account.webhook(Run("a" * 26, "predictions", {"input": {}}, account.clock.now()))

    def send(_: int) -> int:
        return console.http.post("/api/webhooks/replicate", content=body, headers=headers).status_code

    with ThreadPoolExecutor(60) as pool:
        first = [pool.submit(send, number) for number in range(4)]
        for _ in first:
            assert asked.acquire(timeout=20)
        assert list(pool.map(send, range(50))) == [503] * 50
        assert console.get("/api/cloud/jobs").status_code == 200
        go.set()
        assert [each.result() for each in first] == [200] * 4


def test_a_folder_of_other_files_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "previews").mkdir()
    (tmp_path / "previews" / "mine.png").write_text("years")
    with (
        pytest.raises(ConsoleError, match=r"it holds other files, e\.g\. 'previews': name an empty one"),
        running_console(Settings(tmp_path), Clock()),
    ):
        pass
    assert (tmp_path / "previews" / "mine.png").read_text() == "years"
    assert [path.name for path in tmp_path.iterdir()] == ["previews"]


@pytest.mark.slow
def test_inputs_that_cannot_be_sent_end_the_job_for_nothing(
    account: Account, console: ConsoleServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they may be in the database of an earlier version."""
    monkeypatch.setattr("luxscaler.console.routes.strict.read_json", lambda _: {})
    body = f'{{"kind": "training", "source": "{folder}", "destination": "a/b", "inputs": {{"a": NaN}}}}'
    job = _posted(console, SUBMIT, body).json()["job_id"]
    done = console.until(job, "failed")
    assert "not JSON compliant" in done["error"]
    assert (done["cost"], account.calls["create"]) == (0.0, 0)
