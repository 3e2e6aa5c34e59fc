"""The real Cog server under cancels, hostile addresses, clients that go: slots come back, no file stays."""

import base64
import http.client
import json
import os
import random
import signal
import socket
import time
import urllib.error
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.cog_server import CogServer, cog_server
from tests.support.hostile_server import HEAD, Answer, drip, endless, hostile_server, redirect, silent, whole
from tests.support.picture_files import noise, pillow

pytestmark = pytest.mark.slow

PNG = pillow(noise(24, 32), "PNG")
TILE = "data:image/png;base64," + base64.b64encode(PNG).decode()
LARGE = "data:image/png;base64," + base64.b64encode(pillow(noise(112, 112), "PNG")).decode()
CANCELS = 20
FREE_SECONDS = 10.0


@pytest.fixture(scope="module", params=[1, 2], ids=["one slot", "two slots"])
def server(
    request: pytest.FixtureRequest, real_weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CogServer]:
    folder = tmp_path_factory.mktemp("cog")
    environment = {
        "LUXSCALER_WEIGHTS": str(real_weights),
        "COG_MAX_CONCURRENCY": str(request.param),
        "LUXSCALER_FETCH_SECONDS": "2",  # not 60, and below the 5 of a silent server: tests/web has those
    }
    with cog_server(folder, **environment) as running:
        assert running.is_ready()
        yield running


def takes_half_a_minute() -> str:
    return "data:image/png;base64," + base64.b64encode(pillow(noise(600, 600), "PNG")).decode()


def left(server: CogServer, seconds: float = 8.0) -> list[str]:
    """Files in the server's TMPDIR, once a result has had its seconds to be read."""
    end = time.monotonic() + seconds
    while True:
        found = [Path(folder, name) for folder, _, names in os.walk(server.temporary) for name in names]
        files = [str(path) for path in found if path.name != "server.log"]
        if not files or time.monotonic() > end:
            return files
        time.sleep(0.02)


def put_and_cancel(server: CogServer, name: str, pause: float, **inputs: object) -> str:
    """How a prediction ended that was cancelled after a pause."""
    with ThreadPoolExecutor(1) as clients:
        running = clients.submit(server.put, name, **inputs)
        time.sleep(pause)
        try:
            server.cancel(name)
        except urllib.error.HTTPError as error:  # it was over, or had not arrived
            if error.code != 404:
                raise
        return str(running.result(60)["status"])


@pytest.mark.parametrize("count", [CANCELS, pytest.param(1000, marks=pytest.mark.long)])
def test_cancels_at_random_moments_leave_a_server_that_is_ready_and_no_file(
    server: CogServer, count: int
) -> None:
    moments = random.Random(12)
    ended: Counter[str] = Counter()
    with hostile_server(tile=whole(PNG), slow=silent()) as files:
        for number in range(count):
            tile = moments.choice([TILE, files.base + "tile", files.base + "slow"])
            pause = moments.random() ** 2 * 0.1
            ended[put_and_cancel(server, f"c{number}", pause, tile_input=tile, model="fast")] += 1
            assert server.is_ready(), (number, ended)
    assert ended["canceled"] > count / 2
    assert left(server) == []
    assert server.file(tile_input=TILE, model="fast")[8:12] == b"WEBP"


FAULTS: dict[str, Answer] = {
    "drip": drip(),
    "silence": silent(),
    "silent body": silent(HEAD + b"Content-Length: 1000\r\n\r\n"),
    "endless body": endless(),
    "endless head": endless(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"b" * 60000 + b"\r\n"),
    "redirect to a private address": redirect("http://169.254.169.254/latest/meta-data/"),
    "redirect to a file": redirect("file:///etc/passwd"),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("field", ["tile_input", "global_reference"])
def test_a_hostile_address_holds_no_slot_and_leaves_no_file(server: CogServer, name: str, field: str) -> None:
    with hostile_server(x=FAULTS[name]) as files:
        start = time.monotonic()
        error = server.error(**{"tile_input": TILE, field: files.base + "x", "model": "fast"})
        assert time.monotonic() - start < FREE_SECONDS
    assert field in error
    assert "\n" not in error
    assert server.is_ready()
    assert left(server) == []


@pytest.mark.parametrize("name", ["drip", "silence"])
def test_a_client_that_goes_frees_the_slot_at_once(server: CogServer, name: str) -> None:
    with hostile_server(x=FAULTS[name]) as files:
        body = json.dumps({"input": {"tile_input": files.base + "x"}}).encode()
        client = http.client.HTTPConnection(server.url.removeprefix("http://"))
        client.request("PUT", "/predictions/gone", body, {"Content-Type": "application/json"})
        time.sleep(0.3)
        client.close()
        start = time.monotonic()
        assert server.is_ready()
        assert left(server) == []
        assert time.monotonic() - start < 2.0
        assert files.open <= 1


def _head(name: str, length: int) -> bytes:
    lines = [f"PUT /predictions/{name} HTTP/1.1", "Host: x", "Content-Type: application/json"]
    return "\r\n".join((*lines, f"Content-Length: {length}", "", "")).encode()


def test_a_client_that_sends_or_reads_slowly_holds_no_slot(server: CogServer) -> None:
    host, _, port = server.url.removeprefix("http://").partition(":")
    slots = int(server.get("/health-check").get("concurrency", {}).get("max", 2))
    sending = [socket.create_connection((host, int(port))) for _ in range(slots + 1)]
    for client in sending:
        client.sendall(_head("x", 99) + b"{")
    time.sleep(0.2)
    assert server.is_ready()
    reading = []
    for number in range(slots + 1):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, int(port)))
        body = json.dumps(
            {"input": {"tile_input": LARGE, "model": "fast", "output_format": "exr", "scale": 8}}
        ).encode()
        client.sendall(_head(f"slow{number}", len(body)) + body)
        reading.append(client)
        time.sleep(1.0)
    start = time.monotonic()
    while server.status() == "BUSY" and time.monotonic() - start < 120.0:  # they are being computed
        time.sleep(0.05)
    start = time.monotonic()
    assert server.predict(tile_input=TILE, model="fast")["status"] == "succeeded"
    assert time.monotonic() - start < FREE_SECONDS
    for client in (*sending, *reading):
        client.close()


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_sigterm_ends_it_within_ten_seconds(real_weights: Path, tmp_path: Path, busy: bool) -> None:
    with (
        cog_server(tmp_path, LUXSCALER_WEIGHTS=str(real_weights)) as server,
        ThreadPoolExecutor(1) as clients,
    ):
        if busy:
            clients.submit(server.put, "long", tile_input=takes_half_a_minute())
            time.sleep(1.0)
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(FREE_SECONDS)
        assert time.monotonic() - start < FREE_SECONDS
    assert left(server) == []
