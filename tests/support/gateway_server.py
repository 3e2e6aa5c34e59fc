"""Starts a real gateway, uvicorn and all, on 127.0.0.1: in a thread, or in a process that may be killed.

    with fake_cog() as cog, gateway_server(tmp_path, cog.url) as gateway:
        gateway.url                     # REPLICATE_BASE_URL of replicate 1.x; + "/v1" for the JS client
        gateway.token                   # REPLICATE_API_TOKEN
        gateway.version                 # what `version` has to be; gateway.model is owner/name
        gateway.predictions()           # all that were ever created, newest first, as the API's JSON: count
                                        # the creates of a tile by its `input`
        gateway.get("/v1/predictions")  # any call with the token, an httpx.Response; .post, .http too

    gateway_server(tmp_path, *urls, retention_seconds=5.0, rate_limits=True, creates_per_minute=6)
    gateway_server(tmp_path, *urls, middleware=faults.around)      # see tests/support/gateway_faults.py

Keyword arguments are those of luxscaler.gateway.settings.Settings. The same folder again is the same gateway
restarted: token, files and predictions stay. `gateway_process` is the same in a process of its own, without
middleware; its `process` can be killed.
"""

import asyncio
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
import uvicorn

from luxscaler.cli.gateway import TOKEN_VARIABLE
from luxscaler.clock import Clock
from luxscaler.gateway.app import make_app
from luxscaler.gateway.keys import Keys, load_keys
from luxscaler.gateway.limits import AsgiApp
from luxscaler.gateway.server import make_config
from luxscaler.gateway.settings import DEFAULT_MODEL, Settings
from tests.conftest import ROOT

START_SECONDS = 30.0
STOP_SECONDS = 10.0
JsonObject = dict[str, Any]


class PromptServer(uvicorn.Server):
    """Notices at once that it has to stop; uvicorn's own looks every 100 ms."""

    async def main_loop(self) -> None:
        await self.on_tick(0)
        while not self.should_exit:
            await asyncio.sleep(0.005)

    def wait_for_start(self, thread: threading.Thread) -> None:
        """Return once it listens; to ask by connections costs as much as a request each time."""
        deadline = time.monotonic() + START_SECONDS
        while not self.started:
            assert thread.is_alive(), "the server did not start"
            assert time.monotonic() < deadline, "the server did not start in time"
            time.sleep(0.003)


@dataclass(frozen=True)
class GatewayServer:
    """A running gateway."""

    url: str
    settings: Settings
    keys: Keys
    http: httpx.Client = field(repr=False)
    """With the token."""
    plain: httpx.Client = field(repr=False)
    """Without it."""
    process: subprocess.Popen[bytes] | None = None

    @property
    def token(self) -> str:
        """The bearer token."""
        return self.keys.token

    @property
    def model(self) -> str:
        """owner/name."""
        return self.settings.model

    @property
    def version(self) -> str:
        """64 hexadecimal digits."""
        return self.settings.version_id

    def get(self, path: str, **options: Any) -> httpx.Response:
        """A GET with the token."""
        return self.http.get(path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """A POST with the token."""
        return self.http.post(path, **options)

    def create(self, inputs: JsonObject, wait: int | None = 30, **body: Any) -> JsonObject:
        """A prediction, waited for unless `wait` is None; it has to be accepted."""
        headers = {} if wait is None else {"Prefer": f"wait={wait}"}
        answer = self.post(
            "/v1/predictions", json={"version": self.version, "input": inputs, **body}, headers=headers
        )
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def prediction(self, name: str) -> JsonObject:
        """One prediction, now."""
        return dict(self.get(f"/v1/predictions/{name}").raise_for_status().json())

    def until(self, name: str, *statuses: str, seconds: float = 20.0) -> JsonObject:
        """The prediction, once it has one of the statuses."""
        deadline = time.monotonic() + seconds
        while (found := self.prediction(name))["status"] not in statuses:
            assert time.monotonic() < deadline, found
            time.sleep(0.01)
        return found

    def predictions(self) -> list[JsonObject]:
        """All of them, newest first."""
        found: list[JsonObject] = []
        page: str | None = "/v1/predictions"
        while page:
            answer = self.get(page).raise_for_status().json()
            found += answer["results"]
            page = answer["next"]
        return found


@contextmanager
def gateway_server(
    folder: Path,
    *cogs: str,
    middleware: Callable[[AsgiApp], AsgiApp] | None = None,
    clock: Clock | None = None,
    **options: Any,
) -> Iterator[GatewayServer]:
    """A gateway in a thread, for the time of the block; its outputs are addresses if not chosen otherwise."""
    settings, keys = _settings(folder, cogs, {"outputs": "url"} | options)
    app: AsgiApp = make_app(settings, keys, clock)
    if middleware is not None:
        app = middleware(app)
    server = PromptServer(make_config(settings, app))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        server.wait_for_start(thread)
        with _client(settings, keys.token) as http, _client(settings) as plain:
            yield GatewayServer(_url(settings), settings, keys, http, plain)
    finally:
        server.should_exit = True
        thread.join(STOP_SECONDS)


@contextmanager
def gateway_process(folder: Path, *cogs: str, port: int = 0, **options: str) -> Iterator[GatewayServer]:
    """A gateway as `luxscaler gateway` starts it; options are the command's, with _ for -."""
    settings, keys = _settings(folder, cogs, {"port": port or free_port()})
    command = [sys.executable, "-m", "luxscaler.cli.main", "gateway", f"--data={settings.data}"]
    command += [f"--cog={url}" for url in cogs]
    command += [f"--port={settings.port}", f"--webhook-allow={settings.webhook_allow}"]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    environment = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
    with (folder / "gateway.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=environment)
    try:
        _wait(settings, lambda: process.poll() is not None)
        with _client(settings, keys.token) as http, _client(settings) as plain:
            yield GatewayServer(_url(settings), settings, keys, http, plain, process)
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        process.kill()
        process.wait()


def free_port() -> int:
    """A port that nobody listens on, for now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _settings(folder: Path, cogs: tuple[str, ...], options: JsonObject) -> tuple[Settings, Keys]:
    quick = {"health_seconds": 0.05, "refused_seconds": 0.02, "webhook_allow": "127.0.0.0/8"}
    fast: JsonObject = {"port": 0, "model": DEFAULT_MODEL, **quick, **options}
    fast["port"] = fast["port"] or free_port()
    settings = Settings(cogs, folder / "gateway", **fast)
    return settings, load_keys(settings.data)


def _url(settings: Settings) -> str:
    """Where it listens, whatever it calls itself."""
    return f"http://127.0.0.1:{settings.port}"


def _client(settings: Settings, token: str = "") -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    # verify=False: http only; to load certificates would take most of the time of a test.
    return httpx.Client(base_url=_url(settings), headers=headers, timeout=90.0, trust_env=False, verify=False)


def _wait(settings: Settings, has_ended: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((settings.host, settings.port), 1.0):
            return
        assert not has_ended(), "the gateway did not start"
        time.sleep(0.005)
    raise AssertionError("the gateway did not start in time")
