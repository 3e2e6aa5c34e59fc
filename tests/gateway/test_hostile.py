"""A gateway among strangers: odd bodies, slow and many clients, wrong tokens, a full disk, any receivers."""

import errno
import gc
import json
import logging
import socket
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from luxscaler.errors import GatewayError
from luxscaler.gateway.connections import FewLines
from luxscaler.gateway.keys import load_keys, only_gateway
from luxscaler.gateway.problems import Problem
from luxscaler.gateway.server import serve
from luxscaler.gateway.settings import Settings
from luxscaler.gateway.store import LONG_TEXT, Store
from luxscaler.gateway.strict_json import MAX_DEPTH, MAX_VALUES, read_json
from tests.gateway.test_api import problem
from tests.gateway.test_runner import eventually, inputs, tile_url
from tests.support.fake_cog import FakeCog, fake_cog
from tests.support.gateway_server import GatewayServer, gateway_server
from tests.support.hostile_server import drip, endless, hostile_server
from tests.web.test_fetch import FORBIDDEN_TARGETS


@pytest.fixture(scope="module")
def cog() -> Iterator[FakeCog]:
    with fake_cog() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(cog: FakeCog, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayServer]:
    """As it is by default: nothing private is reached."""
    folder = tmp_path_factory.mktemp("gateway")
    quick: dict[str, Any] = {"head_seconds": 0.4, "max_connections": 60}
    with gateway_server(folder, cog.url, webhook_allow="", **quick) as running:
        for client in (running.http, running.plain):
            client.headers["Connection"] = "close"  # one that is kept would be ended while it waits
        yield running


# Bodies


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 2_000_000,
        b'{"a":' * 2_000_000,
        b'{"input":' + b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1) + b"}",
        b'{"input":{"a":[' + b"1," * (2 * MAX_VALUES) + b"1]}}",
        b'{"input":{"a":[' + b"[]," * MAX_VALUES + b"1]}}",
        b'{"input":{"a":[' + b'"",' * (3 * MAX_VALUES) + b"1]}}",
        b'{"input":{"\\\\":' + b"[" * 3_000_000,
        b'{"input": {"a": NaN}}',
        b'{"input": {"a": "\xed\xa0\x80"}}',
        b"\xff\xfe{\x00}\x00",
        b'{"a": 1' + b"0" * 5000 + b"}",
        b'{"a": 1' + b"0" * 400 + b"}",
        b'{"a": 1e999}',
        b'{"a": [-1e999]}',
        b"[]",
        b"",
    ],
)
def test_a_body_of_the_wrong_shape_is_refused_at_once(body: bytes) -> None:
    start = time.monotonic()
    with pytest.raises(Problem) as caught:
        read_json(body)
    assert caught.value.status == 400
    assert time.monotonic() - start < 2.0


@pytest.mark.parametrize(
    "inside", ['"' + "[{" * 1000, "\\" * 7, '\\"[[[' * 50, "data:image/png;base64,AAAA", "ü\u2028\U0001f600"]
)
def test_brackets_in_texts_do_not_count(inside: str) -> None:
    body = {"input": {inside: [inside, {"a": inside}]}}
    for ascii_only in (True, False):
        assert read_json(json.dumps(body, ensure_ascii=ascii_only).encode()) == body


def test_half_of_a_surrogate_pair_is_a_422(gateway: GatewayServer) -> None:
    before = len(gateway.predictions())
    places = ['{"tile_input": "data:,\\ud800"}', '{"\\udfff": 1}', '{"a": ["x", {"b": "\\uDC00\\ud83d"}]}']
    for place in places:
        body = f'{{"version": "{gateway.version}", "input": {place}}}'
        found = problem(gateway.post("/v1/predictions", content=body.encode()), 422)
        assert "half of a surrogate pair" in found["detail"]
    inside = '{"tile_input": "data:,x", "tile_box": "\\ud83d\\ude00"}'
    whole = f'{{"version": "{gateway.version}", "input": {inside}}}'
    assert gateway.post("/v1/predictions", content=whole.encode()).status_code == 201
    assert len(gateway.predictions()) == before + 1


def test_metadata_that_no_reply_can_hold_is_refused(gateway: GatewayServer) -> None:
    before = len(gateway.get("/v1/files").json()["results"])
    answer = gateway.post(
        "/v1/files", files={"content": ("a.bin", b"x")}, data={"metadata": '{"tile": 1e999}'}
    )
    problem(answer, 400)
    assert len(gateway.get("/v1/files").json()["results"]) == before


def test_a_list_shows_long_inputs_shortened_and_does_not_read_them(tmp_path: Path) -> None:
    long = "data:image/png;base64," + "A" * 300_000
    with fake_cog(health="STARTING") as cog, gateway_server(tmp_path, cog.url) as gateway:
        made = [gateway.create(inputs(tile_input=long), wait=None) for _ in range(5)]
        answer = gateway.get("/v1/predictions")
        assert len(answer.content) < 5 * 10 * LONG_TEXT
        shown = answer.json()["results"][0]["input"]["tile_input"]
        assert shown.startswith("data:image/png;base64,AAA")
        assert shown.endswith(f"… ({len(long)} characters)")
        assert gateway.get(f"/v1/predictions/{made[0]['id']}").json()["input"]["tile_input"] == long
        with closing(sqlite3.connect(gateway.settings.data / "gateway.sqlite3")) as database:
            database.execute("UPDATE inputs SET input = 'unreadable'")
            database.commit()
        assert len(gateway.get("/v1/predictions").json()["results"]) == 5


# Webhooks


@pytest.mark.parametrize("target", FORBIDDEN_TARGETS)
def test_a_webhook_to_an_address_that_is_not_public_is_refused(gateway: GatewayServer, target: str) -> None:
    body = {"version": gateway.version, "input": inputs(), "webhook": target.format(port=80)}
    found = problem(gateway.post("/v1/predictions", json=body), 422)
    assert found["invalid_fields"][0]["field"] == "webhook"


def test_a_name_that_leads_to_one_gets_nothing(
    gateway: GatewayServer, cog: FakeCog, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = socket.getaddrinfo

    def getaddrinfo(host: str, *words: Any, **more: Any) -> Any:
        return plain("127.0.0.1" if host == "inside.example" else host, *words, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    before = sum(cog.calls.values())
    made = gateway.create(inputs(), webhook=f"http://inside.example:{cog.port}/shutdown")
    assert made["status"] == "succeeded"
    time.sleep(0.2)
    assert not any("shutdown" in call for call in cog.calls)
    assert sum(cog.calls.values()) > before


@pytest.mark.slow
def test_a_container_is_no_receiver_whatever_is_allowed(tmp_path: Path) -> None:
    with fake_cog() as cog, gateway_server(tmp_path, cog.url, webhook_allow="any") as gateway:
        for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"):
            gateway.create(inputs(), webhook=f"http://{host}:{cog.port}/shutdown")
        time.sleep(0.3)
        assert not any("POST" in call and "cancel" not in call for call in cog.calls), cog.calls


@pytest.mark.slow
def test_receivers_of_any_kind_and_slow_names_stop_no_prediction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = socket.getaddrinfo

    def getaddrinfo(host: str, *words: Any, **more: Any) -> Any:
        if "slow" in host:
            time.sleep(3)
        return plain(host, *words, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with (
        fake_cog() as cog,
        hostile_server(endless=endless(), drip=drip(b"HTTP/1.1 200 OK\r\n")) as receiver,
        gateway_server(tmp_path, cog.url) as gateway,
    ):
        for number in range(8):
            urls = (f"http://slow-{number}.example/", receiver.base + "endless", receiver.base + "drip")
            for url in urls:
                assert gateway.create(inputs(), webhook=url)["status"] == "succeeded"
        assert len(gateway.predictions()) == 24


# Clients


def _connected(gateway: GatewayServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.settings.port), 5.0)


def _has_ended(client: socket.socket, seconds: float) -> bool:
    client.settimeout(seconds)
    try:
        while client.recv(4096):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"GET /v1/account HTTP/1.1\r\nHost: x\r\n",
        b"POST /v1/predictions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
    ],
)
def test_a_request_that_never_comes_whole_is_ended(gateway: GatewayServer, start: bytes) -> None:
    with _connected(gateway) as client:
        client.sendall(start)
        assert _has_ended(client, 5.0)


@pytest.mark.slow
def test_a_head_that_drips_has_one_deadline(gateway: GatewayServer) -> None:
    with _connected(gateway) as client:
        start = time.monotonic()
        try:
            client.sendall(b"GET / HTTP/1.1\r\n")
            while time.monotonic() - start < 5.0:
                client.sendall(b"X: y\r\n")
                time.sleep(0.05)
        except ConnectionError:
            pass
        assert time.monotonic() - start < 4.0


def test_more_half_requests_than_there_is_room_for_make_it_deaf_to_nobody(gateway: GatewayServer) -> None:
    half = []
    for _ in range(3 * gateway.settings.max_connections):
        client = _connected(gateway)
        client.sendall(b"GET /v1/account HTTP/1.1\r\nHost: x\r\n")
        half.append(client)
    try:
        assert gateway.get("/v1/account").status_code == 200
        assert gateway.create(inputs())["status"] == "succeeded"
    finally:
        for client in half:
            client.close()


def test_a_flood_of_one_line_is_logged_a_few_times() -> None:
    seen = FewLines()
    records = [logging.LogRecord("x", 30, "a.py", 1, "again", (), None) for _ in range(1000)]
    kept = [record.getMessage() for record in records if seen.filter(record)]
    assert len(kept) == 21
    assert kept[-1] == "further lines like the last are left out"
    assert seen.filter(logging.LogRecord("x", 30, "a.py", 2, "other", (), None))


def test_wrong_tokens_are_throttled_and_the_right_one_is_not(cog: FakeCog, tmp_path: Path) -> None:
    with gateway_server(tmp_path, cog.url, wrong_tokens_per_minute=5) as gateway:
        codes = []
        for number in range(9):
            headers = {"Authorization": f"Bearer wrong-{number}"} if number else {}
            codes.append(gateway.plain.get(f"{gateway.url}/v1/account", headers=headers).status_code)
        assert codes == [401] * 5 + [429] * 4
        assert gateway.get("/v1/account").status_code == 200
        found = problem(gateway.plain.get(f"{gateway.url}/v1/predictions"), 429)
        assert found["retry_after"] > 0


# The disk


@pytest.mark.slow
def test_a_full_database_is_a_507_and_recovers(cog: FakeCog, tmp_path: Path) -> None:
    with gateway_server(tmp_path, cog.url) as gateway:
        path = gateway.settings.data / "gateway.sqlite3"
        gateway.create(inputs())
        before = gateway.predictions()
        store = _store_of(gateway)
        pages = store._database._connection.execute("PRAGMA page_count").fetchone()[0]
        store._database._connection.execute(f"PRAGMA max_page_count = {pages}")
        large = {"version": gateway.version, "input": inputs(tile_box="x" * 500_000)}
        found = problem(gateway.post("/v1/predictions", json=large), 507)
        assert "disk is full" in found["detail"]
        assert gateway.predictions() == before
        store._database._connection.execute("PRAGMA max_page_count = 1000000")
        assert gateway.post("/v1/predictions", json=large).status_code == 201
        assert path.exists()


def _store_of(gateway: GatewayServer) -> Store:
    stores = [found for found in gc.get_objects() if isinstance(found, Store)]
    return next(found for found in stores if _path(found) == gateway.settings.data)


def _path(store: Store) -> Path:
    try:
        return Path(store._database._connection.execute("PRAGMA database_list").fetchone()[2]).parent
    except sqlite3.ProgrammingError:  # closed
        return Path()


def test_a_full_disk_under_an_upload_is_a_507_and_leaves_nothing(
    gateway: GatewayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"content": ("a.png", b"x" * 100_000, "image/png")}
    plain = Path.open

    def full(path: Path, mode: str = "r", *words: Any, **more: Any) -> Any:
        if mode == "wb" and path.parent == gateway.settings.data / "work":
            raise OSError(errno.ENOSPC, "No space left on device")
        return plain(path, mode, *words, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        found = problem(gateway.post("/v1/files", files=files), 507)
    assert "disk is full" in found["detail"]
    assert gateway.get("/v1/files").json()["results"] == []
    assert list((gateway.settings.data / "work").iterdir()) == []
    assert gateway.post("/v1/files", files=files).status_code == 201


# Keys and folders


@pytest.mark.parametrize("name", ["token", "webhook-secret", "address-key"])
def test_an_empty_key_is_made_anew(name: str, tmp_path: Path) -> None:
    first = load_keys(tmp_path)
    for nothing in ("", "\n", "  \n"):
        (tmp_path / name).write_text(nothing)
        found = load_keys(tmp_path)
        assert len(found.token) > 20
        assert len(found.address_key) == 32
        assert found.webhook_secret.startswith("whsec_")
        assert (found.token, found.webhook_secret, found.address_key) != (
            first.token,
            first.webhook_secret,
            first.address_key,
        )
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("token", "q-Z"),
        ("token", "with a space in it"),
        ("token", "ü" * 20),
        ("webhook-secret", "whsec_AAAA"),
        ("webhook-secret", "a2tr" * 8),
        ("webhook-secret", "whsec_" + "*" * 40),
        ("address-key", "not hexadecimal at all, whatever its length may be"),
        ("address-key", "abcd"),
        ("address-key", "a" * 63),
    ],
)
def test_a_key_that_is_short_or_odd_is_refused_by_the_name_of_its_file(
    name: str, text: str, tmp_path: Path
) -> None:
    load_keys(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(GatewayError, match=name) as caught:
        load_keys(tmp_path)
    assert text not in str(caught.value)


def test_an_empty_bearer_opens_nothing(gateway: GatewayServer) -> None:
    for header in ("Bearer", "bearer", "Token", "", "Bearer\tx"):
        answer = gateway.plain.get(f"{gateway.url}/v1/account", headers={"Authorization": header})
        assert answer.status_code in (401, 429)


def test_a_folder_of_other_files_is_left_as_it_is(tmp_path: Path) -> None:
    """A gateway empties its folder `work`, and takes everybody else's rights."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.txt").write_text("years")
    tmp_path.chmod(0o755)
    for use in (lambda: load_keys(tmp_path), lambda: only_gateway(tmp_path).__enter__()):
        with pytest.raises(GatewayError, match=r"it holds other files, e\.g\. 'work': name an empty one"):
            use()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert [path.name for path in tmp_path.iterdir()] == ["work"]


def test_a_new_disk_and_a_token_put_there_before_are_in_no_way(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / ".keep").write_text("")
    (tmp_path / "token").write_text("chosen-token")
    assert load_keys(tmp_path).token == "chosen-token"
    (tmp_path / "files").mkdir()
    assert load_keys(tmp_path).token == "chosen-token"


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    """uvicorn, which opens it later, would say that it cannot listen."""
    data = tmp_path / "data"
    keys = load_keys(data)
    (data / "gateway.sqlite3").write_bytes(b"no database" * 1000)
    with pytest.raises(GatewayError, match=r"gateway\.sqlite3.*not a database"):
        serve(Settings(("http://127.0.0.1:9",), data), keys)


def test_a_second_gateway_on_a_folder_is_refused(tmp_path: Path) -> None:
    refused = pytest.raises(GatewayError, match="another gateway works in the folder")
    with only_gateway(tmp_path), refused, only_gateway(tmp_path):
        pass
    with only_gateway(tmp_path):
        assert (tmp_path / "lock").exists()


def test_a_containers_password_reaches_no_client_log_or_database(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with fake_cog(fault="cut") as cog:
        url = cog.url.replace("//", "//user:sesame@")
        with gateway_server(tmp_path, url) as gateway:
            made = gateway.create(inputs())
            assert made["status"] == "failed"
            assert cog.url in made["error"]
            paths = ("/v1/predictions", f"/v1/predictions/{made['id']}")
            texts = [gateway.get(path).content for path in paths]
    texts += [path.read_bytes() for path in (tmp_path / "gateway").glob("gateway.sqlite3*")]
    assert not any(b"sesame" in text for text in (caplog.text.encode(), *texts))


@pytest.mark.parametrize(
    "url", ["http://user:sesame@", "ftp://user:sesame@host", "http://user:sesame@host:99999"]
)
def test_nor_an_error_of_the_settings(url: str, tmp_path: Path) -> None:
    with pytest.raises(GatewayError) as caught:
        Settings((url,), tmp_path)
    assert "sesame" not in str(caught.value)


@pytest.mark.slow
def test_a_result_that_came_after_a_crash_is_kept(tmp_path: Path) -> None:
    """A gateway that ends while its container works, as kill -9 leaves it, and one that starts anew."""
    with fake_cog() as cog:
        with gateway_server(tmp_path, cog.url) as first:
            made = first.create(inputs())
            address = first.settings.data / "gateway.sqlite3"
            progress = _progress(first, made["id"])
        with closing(sqlite3.connect(address)) as database:
            as_it_was = "status = 'processing', output = 'null', completed_at = NULL"
            database.execute(f"UPDATE predictions SET {as_it_was}, container = ?", (cog.url,))
            database.commit()
        with gateway_server(tmp_path, cog.url, port=first.settings.port, lost_seconds=5.0) as second:
            assert second.get(f"/v1/predictions/{made['id']}").json()["status"] == "processing"
            report = {"id": made["id"], "status": "succeeded", "output": tile_url(), "logs": "late"}
            assert second.plain.post(second.url + progress, json=report).status_code == 204
            found = second.until(made["id"], "succeeded")
            assert found["logs"]
            assert second.plain.get(found["output"]).is_success
            assert cog.calls["POST /predictions/{id}/cancel"] >= 1
            assert cog.calls["PUT /predictions/{id}"] == 1


@pytest.mark.slow
def test_one_that_nobody_reports_has_failed_and_says_so(tmp_path: Path) -> None:
    with fake_cog() as cog:
        with gateway_server(tmp_path, cog.url) as first:
            made = first.create(inputs())
        with closing(sqlite3.connect(first.settings.data / "gateway.sqlite3")) as database:
            database.execute("UPDATE predictions SET status = 'processing', container = ?", (cog.url,))
            database.commit()
        with gateway_server(tmp_path, cog.url, lost_seconds=0.1, cancel_repeat_seconds=0.05) as second:
            found = second.until(made["id"], "failed")
            assert "no result was reported since" in found["error"]
            eventually(lambda: cog.calls["POST /predictions/{id}/cancel"] >= 1)


def _progress(gateway: GatewayServer, name: str) -> str:
    """The path at which a container reports."""
    from luxscaler.gateway.addresses import Addresses

    whole = Addresses(gateway.settings, gateway.keys.address_key).progress(name)
    return whole.removeprefix(gateway.settings.address_for_cog)
