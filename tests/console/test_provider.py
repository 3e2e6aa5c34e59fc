"""The provider's routes: settings that are checked, versions of all pages, prices, the status page."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from luxscaler.console.database import Database
from luxscaler.console.provider_settings import ProviderSettingsStore
from tests.support.console_server import ConsoleServer, console_server
from tests.support.local_server import Request, serve
from tests.support.replicate_account import MODEL, VERSION, Account

SETTINGS = "/api/cloud/providers/replicate"


def test_a_change_names_some_settings_and_the_others_stay(console: ConsoleServer) -> None:
    console.set(webhook_url="https://host.example/", cost_limit_amount=5)
    console.set(webhook_allowed_ips="")  # as an empty field of the page says it
    console.set(webhook_allowed_ips=["34.82.0.0/16", "35.185.0.0/16"])
    found = console.get(f"{SETTINGS}/config").json()
    assert found["webhook_url"] == "https://host.example"
    assert found["webhook_allowed_ips"] == ["34.82.0.0/16", "35.185.0.0/16"]
    assert found["cost_limit_amount"] == 5
    assert console.get("/api/cloud/providers").json()["providers"][0]["settings"] == found


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook_url", "https://host.example/hooks"),
        ("webhook_url", "ftp://host.example"),
        ("webhook_url", "https://user:secret@host.example"),
        ("webhook_url", "https://host.example:port"),
        ("webhook_require_signature", "yes"),
        ("webhook_allowed_ips", ["34.82.0.0/33"]),
        ("webhook_allowed_ips", ["34.82.0.1/16"]),
        ("webhook_allowed_ips", 7),
        ("trusted_proxies", "nonsense"),
        ("cost_limit_amount", -1),
        ("cost_limit_amount", "5"),
        ("cost_limit_amount", True),
        ("cost_limit_period", "yearly"),
        ("cost_limit_action", "ignore"),
        ("cost_limit_time_zone", "Mars/Olympus"),
        ("hardware", "gpu-of-tomorrow"),
        ("hardware_prices", {"gpu-l40s": -0.1}),
        ("hardware_prices", {"gpu-of-tomorrow": 0.1}),
        ("version_override", "v32"),
        ("model", "no-owner"),
        ("max_minutes", 0),
        ("http_timeout", 0),
        ("ssl_ca_bundle", "/no/such/file.pem"),
        ("proxy_url", "socks9://x"),
        ("no_such_setting", 1),
    ],
)
def test_a_wrong_one_is_refused_with_its_name(console: ConsoleServer, name: str, value: Any) -> None:
    before = console.get(SETTINGS).json()
    answer = console.put(SETTINGS, {"max_minutes": 3, name: value})
    assert answer.status_code == 400
    assert answer.json()["field"] == name
    assert answer.json()["detail"].startswith(f"{name}: ")
    assert console.get(SETTINGS).json() == before


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_money_that_is_no_number(console: ConsoleServer, number: str) -> None:
    answer = console.http.put(
        SETTINGS,
        content=f'{{"cost_limit_amount": {number}}}',
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code in (400, 422)


def test_of_two_changes_at_once_the_later_one_is_in_force(tmp_path: Path) -> None:
    """The first is held up just after it was written, and must not come into force after the second."""
    database = Database(tmp_path / "console.sqlite3")
    store, transaction = ProviderSettingsStore(database), database.transaction
    written, begun = threading.Event(), threading.Event()

    @contextmanager
    def held_up() -> Iterator[None]:
        with transaction():
            yield
        if not written.is_set():
            written.set()
            assert begun.wait(20)
            second.join(0.3)  # it cannot end before, or it ends now

    second = threading.Thread(target=store.change, args=[{"max_minutes": 7}])
    with patch.object(database, "transaction", held_up):
        first = threading.Thread(target=store.change, args=[{"max_minutes": 5}])
        first.start()
        assert written.wait(20)
        second.start()
        begun.set()
        first.join(20)
        second.join(20)
    assert store.get() == ProviderSettingsStore(database).get()
    assert store.get().max_minutes == 7
    database.close()


def test_the_password_of_a_proxy_is_not_echoed_and_not_lost(console: ConsoleServer) -> None:
    answer = console.put(SETTINGS, {"proxy_url": "http://me:secret@127.0.0.1:3128"})
    assert answer.json()["proxy_url"] == "http://me:…@127.0.0.1:3128"
    console.set(proxy_url=answer.json()["proxy_url"], max_minutes=5)
    assert "secret" not in console.get(SETTINGS).text
    assert b"secret" in (console.data / "console.sqlite3-wal").read_bytes()


def test_the_proxy_is_used_for_what_is_asked_of_replicate(account: Account, tmp_path: Path) -> None:
    with console_server(tmp_path, "http://127.0.0.1:9") as console:
        assert console.get(f"{SETTINGS}/validate").status_code == 502
        console.set(proxy_url=account.url)
        assert console.get(f"{SETTINGS}/validate").status_code == 502
    assert account.calls["list"] + account.calls["get"] == 1


@pytest.mark.slow
def test_all_pages_of_versions(account: Account, console: ConsoleServer) -> None:
    account.version_pages = 3
    found = console.get(f"{SETTINGS}/versions").json()
    assert len(found["versions"]) == 3
    assert found["current_version"] == VERSION
    assert found["versions"][0]["full_version"] == f"{MODEL}:{VERSION}"
    console.set(version_override=f"{MODEL}:{2:064x}")
    assert console.get(f"{SETTINGS}/versions").json()["current_version"] == f"{2:064x}"


def test_a_failure_upstream_is_no_empty_list(account: Account, console: ConsoleServer) -> None:
    account.fault = lambda call, _number: "404" if call == "versions" else None
    answer = console.get(f"{SETTINGS}/versions")
    assert answer.status_code == 502
    assert "told to 404" in answer.json()["detail"]


def test_prices_are_those_in_force(console: ConsoleServer) -> None:
    table = console.get(f"{SETTINGS}/hardware").json()
    first = table["hardware"][0]
    assert table["default_hardware"] == first["sku"] == "gpu-l40s"
    assert first["vram_gb"] == 48
    assert first["cost_per_hour"] == pytest.approx(3600 * first["cost_per_second"])
    console.set(hardware_prices={"gpu-l40s": 0.5})
    billing = console.get(f"{SETTINGS}/billing").json()
    assert billing["balance"] is None
    assert billing["hardware"][0]["cost_per_second"] == 0.5
    assert billing["hardware"][0]["is_overridden"]


def _status(body: bytes) -> Any:
    return lambda request: _send(request, body)


def _send(request: Request, body: bytes) -> None:
    request.send(200, body, Content_Type="application/json")


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("body", "operational"),
    [
        (b'{"ongoing_incidents": []}', True),
        (b'{"ongoing_incidents": [{"name": "slow"}]}', False),
        (b"<html>", None),
        (b"[]", None),
    ],
)
def test_the_status_page(account: Account, tmp_path: Path, body: bytes, operational: bool | None) -> None:
    with (
        serve(_status(body)) as script,
        console_server(tmp_path, account.url, status_url=script.url) as console,
    ):
        found = console.get(f"{SETTINGS}/status").json()
    assert found["operational"] is operational
    assert (found["error"] is None) is (operational is not None)
