"""Who may call: names, origins, sessions; what every answer says to a browser."""

import time
from pathlib import Path

import httpx
import pytest

from luxscaler.console.settings import Settings
from luxscaler.errors import ConsoleError
from tests.support.console_server import ConsoleServer, console_server
from tests.support.fake_clock import ManualClock
from tests.support.replicate_account import Account

SETTINGS = "/api/cloud/providers/replicate"
PASSWORD = "correct horse"


@pytest.mark.sample(2)
@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "", "127.0.0.1.evil.example", "[::2]"])
def test_another_name_that_leads_here_is_refused(console: ConsoleServer, host: str) -> None:
    for path in ("/", SETTINGS, "/api/webhooks/replicate", "/static/console.js"):
        assert console.get(path, headers={"Host": host}).status_code == 421


def test_names_of_this_machine_and_allowed_ones_are_taken(account: Account, tmp_path: Path) -> None:
    with console_server(tmp_path, account.url, allowed_hosts=("Studio.example",)) as console:
        for host in (
            "localhost",
            "localhost:9999",
            "127.0.0.1",
            "[::1]:8080",
            "studio.example",
            "STUDIO.example:1",
        ):
            assert console.get(SETTINGS, headers={"Host": host}).status_code == 200


def test_the_public_name_is_good_for_webhooks_alone(console: ConsoleServer) -> None:
    console.set(webhook_url="https://host.example")
    headers = {"Host": "host.example"}
    assert console.http.post("/api/webhooks/replicate", headers=headers, content=b"{}").status_code == 401
    assert console.get(SETTINGS, headers=headers).status_code == 421


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_elsewhere_changes_nothing(console: ConsoleServer, headers: dict[str, str]) -> None:
    for method, path in (
        ("PUT", SETTINGS),
        ("POST", "/api/cloud/jobs/submit"),
        ("DELETE", f"{SETTINGS}/token"),
    ):
        answer = console.http.request(method, path, headers=headers, json={"max_minutes": 1})
        assert answer.status_code == 403
    assert console.get(SETTINGS).json()["max_minutes"] == 60


def test_the_own_page_may(console: ConsoleServer) -> None:
    headers = {"Origin": console.url, "Sec-Fetch-Site": "same-origin"}
    assert console.http.put(SETTINGS, headers=headers, json={"max_minutes": 5}).status_code == 200


def test_every_answer_has_the_policy(console: ConsoleServer) -> None:
    for path in ("/", SETTINGS, "/no/such", "/static/console.js"):
        headers = console.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
    assert console.get(SETTINGS).headers["cache-control"] == "no-store"


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/a%00b", "/no/such"]
)
def test_odd_paths_are_404(console: ConsoleServer, path: str) -> None:
    url = httpx.URL(console.url).copy_with(raw_path=path.encode())
    assert console.http.get(url).status_code == 404


def test_with_a_password_nothing_answers_without_a_session(account: Account, tmp_path: Path) -> None:
    clock = ManualClock(time.time())
    with console_server(tmp_path, account.url, clock=clock, password=PASSWORD) as console:
        for path in (
            SETTINGS,
            "/api/cloud/jobs",
            "/api/events",
            "/api/webhooks/deliveries",
            "/api/cloud/spending",
        ):
            assert console.get(path).status_code == 401
        assert console.get("/api/session").json() == {"needed": True, "open": False}
        assert console.get("/").status_code == console.get("/api/health/live").status_code == 200
        assert console.post("/api/session", json={"password": "wrong"}).status_code == 401
        answer = console.post("/api/session", json={"password": PASSWORD})
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert console.get(SETTINGS).status_code == 200
        key = answer.json()["token"]
        console.http.cookies.clear()
        bearer = {"Authorization": f"Bearer {key}"}
        assert console.get(SETTINGS).status_code == 401
        assert console.get(SETTINGS, headers=bearer).status_code == 200
        assert key.encode() not in (console.data / "console.sqlite3-wal").read_bytes()
        clock.advance(15 * 86400)
        assert console.get(SETTINGS, headers=bearer).status_code == 401


def test_guessing_passwords_is_slow(account: Account, tmp_path: Path) -> None:
    with console_server(tmp_path, account.url, password=PASSWORD) as console:
        codes = [console.post("/api/session", json={"password": str(n)}).status_code for n in range(12)]
        assert codes == [401] * 10 + [429] * 2


def test_logging_out_ends_the_session(account: Account, tmp_path: Path) -> None:
    with console_server(tmp_path, account.url, password=PASSWORD) as console:
        console.post("/api/session", json={"password": PASSWORD})
        kept = dict(console.http.cookies)
        assert console.delete("/api/session").status_code == 204
        console.http.cookies.update(kept)
        assert console.get(SETTINGS).status_code == 401


def test_other_machines_need_a_password() -> None:
    with pytest.raises(ConsoleError, match="--password-file"):
        Settings(Path("x"), host="0.0.0.0")
    with pytest.raises(ConsoleError, match="at least 8"):
        Settings(Path("x"), host="0.0.0.0", password="short")
    assert not Settings(Path("x"), host="0.0.0.0", password=PASSWORD).is_loopback


def test_health_and_the_description_of_the_api(console: ConsoleServer) -> None:
    assert console.get("/api/health/ready").json() == {"status": "ok"}
    described = console.get("/api/openapi.json").json()["paths"]
    assert "/api/cloud/jobs/submit" in described
    assert "/api/webhooks/replicate" in described
