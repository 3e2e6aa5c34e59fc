"""The token: where it may come from, when it is kept, and that it shows up nowhere."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.console_server import ConsoleServer, console_process, console_server
from tests.support.replicate_account import TOKEN, Account

TOKEN_PATH = "/api/cloud/providers/replicate/token"
VALIDATE = "/api/cloud/providers/replicate/validate"


@pytest.fixture
def bare(account: Account, tmp_path: Path) -> Iterator[ConsoleServer]:
    with console_server(tmp_path, account.url, environment_token="") as running:
        yield running


def _file(console: ConsoleServer) -> Path:
    return console.data / "secrets" / "replicate-token"


def test_without_one_every_call_says_so(bare: ConsoleServer, picture: Path) -> None:
    assert bare.get(VALIDATE).json() == {
        "valid": False,
        "user_info": None,
        "error": "REPLICATE_API_TOKEN not set",
    }
    submit = bare.post("/api/cloud/jobs/submit", json={"kind": "master", "source": str(picture)})
    assert submit.status_code == 503
    assert submit.json()["detail"] == "REPLICATE_API_TOKEN not set"
    assert bare.get("/api/cloud/providers/replicate/versions").status_code == 503


def test_one_that_replicate_accepts_is_kept_privately(bare: ConsoleServer) -> None:
    before = os.umask(0)
    try:
        answer = bare.put(TOKEN_PATH, {"api_token": f"  {TOKEN}\r\n"})
    finally:
        os.umask(before)
    assert answer.status_code == 200
    assert answer.json() == {"success": True, "file_path": str(_file(bare))}
    assert _file(bare).read_text().strip() == TOKEN
    assert stat.S_IMODE(_file(bare).stat().st_mode) == 0o600
    assert stat.S_IMODE(_file(bare).parent.stat().st_mode) == 0o700
    assert [path.name for path in _file(bare).parent.iterdir()] == ["replicate-token"]
    user = bare.get(VALIDATE).json()["user_info"]
    assert user["username"] == "ada"
    assert user["github_url"] == "https://github.com/ada"
    assert user["token_source"] == "file"
    assert bare.delete(TOKEN_PATH).json() == {"success": True, "removed": True}
    assert not _file(bare).exists()


@pytest.mark.sample(2)
@pytest.mark.parametrize("token", ["", "  ", "sk_123456", "r8_with blank", "r8_línea", "r8_a\0b"])
def test_one_that_can_be_none_is_refused_unseen(bare: ConsoleServer, account: Account, token: str) -> None:
    answer = bare.put(TOKEN_PATH, {"api_token": token})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "Invalid token"
    assert account.calls["account"] == 0
    assert not _file(bare).exists()


def test_one_that_replicate_refuses_is_not_kept(bare: ConsoleServer) -> None:
    answer = bare.put(TOKEN_PATH, {"api_token": "r8_somebody_elses"})
    assert answer.status_code == 401
    assert answer.json()["detail"] == "Invalid token"
    assert "r8_somebody_elses" not in answer.text
    assert not _file(bare).exists()


def test_what_cannot_be_checked_is_not_kept(bare: ConsoleServer, account: Account) -> None:
    account.fault = lambda _call, _number: "500"
    answer = bare.put(TOKEN_PATH, {"api_token": TOKEN})
    assert answer.status_code == 502
    assert not _file(bare).exists()


def test_the_one_before_stays_if_the_new_one_cannot_be_written(
    bare: ConsoleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert bare.put(TOKEN_PATH, {"api_token": TOKEN}).status_code == 200
    with monkeypatch.context() as patched:
        patched.setattr("luxscaler.console.token.write_private", full)
        answer = bare.put(TOKEN_PATH, {"api_token": TOKEN})
    assert answer.status_code == 500
    assert "No space left" in answer.json()["detail"]
    assert bare.get(VALIDATE).json()["valid"]


def test_the_environment_always_wins(console: ConsoleServer) -> None:
    assert console.get(VALIDATE).json()["user_info"]["token_source"] == "environment"
    assert console.put(TOKEN_PATH, {"api_token": TOKEN}).status_code == 409
    assert console.delete(TOKEN_PATH).status_code == 409


def test_one_in_the_environment_that_is_none(account: Account, tmp_path: Path) -> None:
    with console_server(tmp_path, account.url, environment_token="gw_12345678") as console:
        assert console.get(VALIDATE).json() == {"valid": False, "user_info": None, "error": "Invalid token"}
    assert account.calls["account"] == 0


@pytest.mark.slow
def test_it_shows_up_nowhere(account: Account, tmp_path: Path, picture: Path) -> None:
    """Log, database, answers, errors, list of processes: only its own file has it."""
    said: list[str] = []
    with console_process(tmp_path, account.url, REPLICATE_API_TOKEN="") as console:
        assert console.put(TOKEN_PATH, {"api_token": TOKEN}).status_code == 200
        job = console.submit(kind="master", source=str(picture))
        console.until(job, "queued")
        account.fault = lambda call, _number: "401" if call == "account" else None
        paths = (VALIDATE, "/api/cloud/providers", f"/api/cloud/jobs/{job}", "/", "/api/openapi.json")
        said += [console.get(path).text for path in paths]
        said.append(console.put(TOKEN_PATH, {"api_token": TOKEN}).text)
        assert console.process is not None
        said.append(Path(f"/proc/{console.process.pid}/cmdline").read_text())
    assert TOKEN not in "".join(said)
    holders = [
        path.name for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()
    ]
    assert holders == ["replicate-token"]
