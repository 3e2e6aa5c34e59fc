"""Starts a real console, uvicorn and all, on 127.0.0.1: in a thread, or in a process that may be killed.

    with replicate_account() as account, console_server(tmp_path, account.url) as console:
        console.get("/api/cloud/jobs")       # .post, .put, .delete; an httpx.Response
        job = console.submit(kind="master", source=str(picture))
        console.until(job, "completed")

Keyword arguments are those of luxscaler.console.settings.Settings. The same folder again is the same console
restarted.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from luxscaler.clock import Clock
from luxscaler.console.server import make_config
from luxscaler.console.settings import Settings
from luxscaler.console.state import Console, running_console
from tests.conftest import ROOT
from tests.support.gateway_server import START_SECONDS, STOP_SECONDS, PromptServer, free_port
from tests.support.replicate_account import TOKEN

QUICK: dict[str, Any] = {"poll_seconds": 0.02, "settling_seconds": 0.2}


@dataclass(frozen=True)
class ConsoleServer:
    """A running console."""

    url: str
    data: Path
    http: httpx.Client = field(repr=False)
    process: subprocess.Popen[bytes] | None = None

    def get(self, path: str, **options: Any) -> httpx.Response:
        """A GET."""
        return self.http.get(path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """A POST."""
        return self.http.post(path, **options)

    def put(self, path: str, json: Any) -> httpx.Response:
        """A PUT."""
        return self.http.put(path, json=json)

    def delete(self, path: str) -> httpx.Response:
        """A DELETE."""
        return self.http.delete(path)

    def set(self, **settings: Any) -> None:
        """The provider's settings; they have to be accepted."""
        answer = self.put("/api/cloud/providers/replicate", settings)
        assert answer.status_code == 200, answer.text

    def submit(self, **body: Any) -> str:
        """The id of a new job; it has to be taken."""
        answer = self.post("/api/cloud/jobs/submit", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def job(self, name: str) -> dict[str, Any]:
        """One, now."""
        return dict(self.get(f"/api/cloud/jobs/{name}").raise_for_status().json())

    def until(self, name: str, *states: str, seconds: float = 30.0) -> dict[str, Any]:
        """The job, once it has one of the states."""
        return self.until_that(name, lambda job: job["status"] in states, seconds)

    def until_that(
        self, name: str, holds: Callable[[dict[str, Any]], bool], seconds: float = 30.0
    ) -> dict[str, Any]:
        """The job, once something holds of it."""
        deadline, pause = time.monotonic() + seconds, 0.005
        while not holds(found := self.job(name)):
            assert time.monotonic() < deadline, found
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)  # each question costs as much as the work that is waited for
        return found


@contextmanager
def console_server(
    folder: Path, base_url: str, *, clock: Clock | None = None, **options: Any
) -> Iterator[ConsoleServer]:
    """A console in a thread, for the time of the block; with a token unless `environment_token` is empty."""
    values: dict[str, Any] = {"folders": (folder,), "environment_token": TOKEN, **QUICK, **options}
    settings = Settings(folder / "console", port=free_port(), base_url=base_url, **values)
    with (
        running_console(settings, clock or Clock()) as working,
        _serving(working),
        _client(settings.port) as http,
    ):
        yield ConsoleServer(str(http.base_url).rstrip("/"), settings.data, http)


@contextmanager
def _serving(console: Console) -> Iterator[None]:
    # log_config: to set it up takes as long as a request
    config = make_config(console.settings, console, log_config=None)
    server = PromptServer(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        server.wait_for_start(thread)
        yield
    finally:
        server.should_exit = True
        thread.join(STOP_SECONDS)


@contextmanager
def console_process(folder: Path, base_url: str, **environment: str) -> Iterator[ConsoleServer]:
    """A console as `luxscaler server` starts it."""
    port, data = free_port(), folder / "console"
    command = [sys.executable, "-m", "luxscaler.cli.main", "server", f"--data={data}", f"--port={port}"]
    command.append(f"--folder={folder}")
    names = {"REPLICATE_BASE_URL": base_url, "REPLICATE_API_TOKEN": TOKEN, **environment}
    with (folder / "console.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **names}
        )
    try:
        _wait(port, lambda: process.poll() is not None)
        with _client(port) as http:
            yield ConsoleServer(f"http://127.0.0.1:{port}", data, http, process)
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        process.kill()
        process.wait()


def _client(port: int) -> httpx.Client:
    # verify=False: http only; to load certificates would take most of the time of a test.
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30.0, trust_env=False, verify=False)


def _wait(port: int, has_ended: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        assert not has_ended(), "the console did not start"
        time.sleep(0.005)
    raise AssertionError("the console did not start in time")
