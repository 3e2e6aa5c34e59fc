"""`luxscaler gateway`: who may connect, what is printed, and what never is."""

import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from luxscaler.cli.gateway import TOKEN_VARIABLE
from luxscaler.cli.main import app
from tests.conftest import ROOT
from tests.gateway.test_runner import inputs
from tests.support.fake_cog import fake_cog
from tests.support.gateway_server import free_port, gateway_process

COG = "--cog=http://127.0.0.1:9"


def refused(*options: str, **environment: str) -> str:
    """The error of a gateway that does not start."""
    ran = CliRunner().invoke(app, ["gateway", *options], env={TOKEN_VARIABLE: "", **environment})
    assert ran.exit_code == 1, ran.output
    return " ".join(ran.stderr.split())


@pytest.mark.slow
def test_it_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    with fake_cog() as cog, gateway_process(tmp_path, cog.url) as gateway:
        made = gateway.create(inputs())
        assert made["status"] == "succeeded"
        assert gateway.process is not None
        gateway.process.terminate()
        assert gateway.process.wait(10) in (0, -15)
    log = (tmp_path / "gateway.log").read_text()
    assert f"run {made['id']}: succeeded" in log
    assert f"{gateway.url}/v1 serves {gateway.model}:{gateway.version}" in log
    secrets = (gateway.token, gateway.keys.webhook_secret, made["output"].rpartition("=")[2])
    everything = [
        log.encode(),
        *(path.read_bytes() for path in (tmp_path / "gateway").glob("gateway.sqlite3*")),
    ]
    assert all(secret.encode() not in text for secret in secrets for text in everything)
    assert stat.S_IMODE((tmp_path / "gateway").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "gateway" / "token").stat().st_mode) == 0o600


@pytest.mark.slow
def test_ctrl_c_is_no_error(tmp_path: Path) -> None:
    with fake_cog() as cog, gateway_process(tmp_path, cog.url) as gateway:
        assert gateway.process is not None
        gateway.process.send_signal(signal.SIGINT)
        assert gateway.process.wait(10) == 0
    assert "the gateway has stopped" in (tmp_path / "gateway.log").read_text()


def test_other_machines_only_with_a_token_of_ones_own(tmp_path: Path) -> None:
    said = refused(COG, f"--data={tmp_path}", "--host=0.0.0.0")
    assert "--token-file" in said
    assert not (tmp_path / "token").exists()


@pytest.mark.slow
def test_the_token_of_the_environment_and_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine"
    file.write_text("token-of-the-file\n")
    with fake_cog() as cog, gateway_process(tmp_path, cog.url, token_file=str(file)) as gateway:
        headers = {"Authorization": "Bearer token-of-the-file"}
        assert httpx.get(f"{gateway.url}/v1/account", headers=headers).is_success
        assert httpx.get(f"{gateway.url}/v1/account").status_code == 401
    assert "the token is as given" in (tmp_path / "gateway.log").read_text()


def test_errors_are_one_line(tmp_path: Path) -> None:
    assert "not an http address" in refused("--cog=nowhere", f"--data={tmp_path}")
    assert "url or data" in refused(COG, f"--data={tmp_path}", "--outputs=x")
    assert "owner/name" in refused(COG, f"--data={tmp_path}", "--model=x")
    assert "cannot read the token file" in refused(COG, f"--data={tmp_path}", f"--token-file={tmp_path}/x")
    assert "at least 8" in refused(COG, f"--data={tmp_path}", **{TOKEN_VARIABLE: "short"})


@pytest.mark.slow
def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = subprocess.run(
            [
                sys.executable,
                "-m",
                "luxscaler.cli.main",
                "gateway",
                COG,
                f"--data={tmp_path}",
                f"--port={port}",
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert ran.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.slow
def test_help_needs_none_of_its_libraries() -> None:
    probe = (
        "import sys; from luxscaler.cli.main import app; "
        "print([name for name in ('torch', 'fastapi', 'uvicorn', 'httpx') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
    text = re.sub(r"\x1b\[[0-9;]*m", "", CliRunner().invoke(app, ["gateway", "--help"]).output)
    assert "--cog" in text


@pytest.mark.slow
def test_it_is_up_soon(tmp_path: Path) -> None:
    start = time.monotonic()
    with gateway_process(tmp_path, "http://127.0.0.1:9", port=free_port()):
        assert time.monotonic() - start < 20
