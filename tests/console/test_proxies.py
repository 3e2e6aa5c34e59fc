"""The reverse proxies of the examples, started as they are: webhooks come through, and nothing else does."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT
from tests.support.console_server import ConsoleServer
from tests.support.gateway_server import free_port
from tests.support.replicate_account import Account

EXAMPLES = ROOT / "examples" / "console"
PATH = "/api/webhooks/replicate"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
CADDY = shutil.which("caddy")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl for a certificate"),
]


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    paths = (tmp_path / "console.pem", tmp_path / "console.key")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=console.example"]
    command += ["-out", str(paths[0]), "-keyout", str(paths[1]), "-days", "1"]
    command += ["-addext", "subjectAltName=DNS:console.example"]
    subprocess.run(command, check=True, capture_output=True)
    return paths


@contextmanager
def _running(command: list[str], port: int, folder: Path) -> Iterator[None]:
    process = subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, text=True, env={**os.environ, "HOME": str(folder)}
    )
    deadline = time.monotonic() + 20
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
                break
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def _replaced(name: str, **changes: str) -> str:
    text = (EXAMPLES / name).read_text("utf-8")
    for before, after in changes.items():
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


def _check(account: Account, console: ConsoleServer, picture: Path, port: int) -> None:
    """As Replicate would call it, by the public name."""
    console.set(webhook_url="https://console.example", trusted_proxies=["127.0.0.0/8"])
    job = console.submit(kind="master", source=str(picture))
    console.until(job, "queued")
    run = account.runs[0]
    account.tell(run, "processing", logs="line\n" * 100_000)
    url = f"https://127.0.0.1:{port}"
    host = {"Host": "console.example"}
    extensions = {"sni_hostname": "console.example"}
    with httpx.Client(verify=False, trust_env=False) as outside:
        body, headers = account.webhook(run)
        asked = outside.post(url + PATH, content=body, headers={**headers, **host}, extensions=extensions)
        assert asked.status_code == 200, asked.text
        guide = outside.post(url + PATH, content=b"{}", headers=host, extensions=extensions)
        assert (guide.status_code, guide.json()["detail"][:17]) == (401, "reached; unsigned")
        for path in ("/", "/api/cloud/jobs", "/static/main.js", f"{PATH}/../deliveries"):
            assert outside.get(url + path, headers=host, extensions=extensions).status_code == 404
        console.set(webhook_allowed_ips=["34.82.0.0/16"])
        lied = {**account.webhook(run)[1], **host, "X-Forwarded-For": "34.82.1.1"}
        answer = outside.post(url + PATH, content=body, headers=lied, extensions=extensions)
        assert answer.status_code == 403
        assert "127.0.0.1 is not among" in answer.json()["detail"]
    assert console.job(job)["status"] == "running"
    verdicts = [each["verdict"] for each in console.get("/api/webhooks/deliveries").json()["deliveries"]]
    assert len(verdicts) == 3
    assert verdicts[2] in ("applied", "unchanged")


@pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: apt-get install nginx)")
def test_nginx(
    account: Account, console: ConsoleServer, picture: Path, tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    port = free_port()
    site = _replaced(
        "nginx.conf",
        **{
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "/etc/ssl/console.pem": str(certificate[0]),
            "/etc/ssl/console.key": str(certificate[1]),
            "http://127.0.0.1:8080": console.url,
        },
    )
    work = tmp_path / "nginx"
    work.mkdir()
    places = "".join(
        f"{name}_temp_path {work}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = f"daemon off; pid {work}/pid; events {{}} http {{ access_log off; {places} {site} }}"
    (work / "main.conf").write_text(f"user root;\n{main}" if os.geteuid() == 0 else main)
    with _running([str(NGINX), "-c", str(work / "main.conf"), "-e", "stderr"], port, work):
        _check(account, console, picture, port)


@pytest.mark.skipif(CADDY is None, reason="needs Caddy (Debian: apt-get install caddy)")
def test_caddy(
    account: Account, console: ConsoleServer, picture: Path, tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    port = free_port()
    changes = {
        "console.example {": f"https://console.example:{port} {{\n\ttls {certificate[0]} {certificate[1]}",
        "127.0.0.1:8080": console.url.removeprefix("http://"),
    }
    site = _replaced("Caddyfile", **changes)
    path = tmp_path / "Caddyfile"
    path.write_text(f"{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{site}")
    command = [str(CADDY), "run", "--config", str(path), "--adapter", "caddyfile"]
    with _running(command, port, tmp_path):
        _check(account, console, picture, port)
