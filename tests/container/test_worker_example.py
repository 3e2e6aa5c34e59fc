"""The example Worker in miniflare, Cloudflare's own runtime, against the gateway and a stand-in for Cog."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomllib

from luxscaler.io.read import read_picture
from luxscaler.replicate.signing import webhook_headers
from tests.conftest import ROOT
from tests.gateway.test_runner import tile_url
from tests.support.fake_cog import FakeCog, fake_cog
from tests.support.gateway_npm import npm_packages
from tests.support.gateway_server import GatewayServer, free_port, gateway_server

pytestmark = pytest.mark.slow

MINIFLARE = "miniflare@4.20260730.0"
EXAMPLE = ROOT / "examples" / "orchestrator"
KEY = "key-of-the-tests"
START_SECONDS = 30.0
RUN = """
const { Miniflare } = require("miniflare");
const options = JSON.parse(process.argv[2]);
const miniflare = new Miniflare(options);
miniflare.ready.then(() => console.log("ready"));
process.stdin.on("end", () => miniflare.dispose().then(() => process.exit(0))).resume();
"""


@dataclass(frozen=True)
class Worker:
    """A running Worker and what it works with."""

    url: str
    gateway: GatewayServer
    cog: FakeCog

    def send(self, key: str = KEY, **tile: Any) -> httpx.Response:
        return httpx.post(self.url, json=tile, headers={"Authorization": f"Bearer {key}"}, timeout=30)

    def result(self, name: str) -> httpx.Response:
        return httpx.get(f"{self.url}/{name}", headers={"Authorization": f"Bearer {KEY}"})

    def webhook(self, body: bytes, **changed: str) -> httpx.Response:
        headers = webhook_headers(self.gateway.keys.webhook_secret, "msg_1", int(time.time()), body)
        headers |= {name.replace("_", "-"): value for name, value in changed.items()}
        return httpx.post(f"{self.url}/webhook", content=body, headers=headers)


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    modules, folder = npm_packages(MINIFLARE), tmp_path_factory.mktemp("worker")
    node = shutil.which("node")
    assert node is not None
    settings = tomllib.loads((EXAMPLE / "wrangler.toml").read_text(encoding="utf-8"))
    script, port = folder / "run.cjs", free_port()
    script.write_text(RUN)
    with fake_cog() as cog, gateway_server(folder, cog.url) as gateway:
        options = {
            "modules": True,
            "script": (EXAMPLE / settings["main"]).read_text(encoding="utf-8"),
            "compatibilityDate": settings["compatibility_date"],
            "host": "127.0.0.1",
            "port": port,
            "kvNamespaces": [space["binding"] for space in settings["kv_namespaces"]],
            "bindings": settings["vars"]
            | {
                "REPLICATE_BASE_URL": gateway.url,
                "MODEL_VERSION": f"r8.im/{gateway.model}:{gateway.version}",
                "PUBLIC_URL": f"http://127.0.0.1:{port}",
                "REPLICATE_API_TOKEN": gateway.token,
                "WEBHOOK_SECRET": gateway.keys.webhook_secret,
                "ORCHESTRATOR_KEY": KEY,
            },
        }
        assert options["bindings"].keys() >= settings["vars"].keys()
        process = subprocess.Popen(
            [node, str(script), json.dumps(options)],
            env={**os.environ, "NODE_PATH": str(modules)},
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=(folder / "log").open("wb"),
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(process, folder / "log")
            yield Worker(f"http://127.0.0.1:{port}", gateway, cog)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(10)
            finally:
                process.kill()


def _wait(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while "ready" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def until_known(worker: Worker, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while (answer := worker.result(name)).json()["status"] == "pending":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    found: dict[str, Any] = answer.json()
    return found


def test_a_tile_goes_out_with_the_payload_of_the_guide_and_comes_back(worker: Worker) -> None:
    answer = worker.send(tile_input=tile_url(), global_reference=tile_url())
    assert answer.status_code == 202, answer.text
    name = answer.json()["id"]
    record = until_known(worker, name)
    assert record["status"] == "succeeded"
    assert record["metrics"]["predict_time"] >= 0
    assert read_picture(httpx.get(record["output"]).content).width == 24
    made = worker.gateway.prediction(name)
    assert made["input"] == {
        "tile_input": tile_url(),
        "global_reference": tile_url(),
        "output_format": "exr",
        "hdr_boost": 1.5,
        "fractality": 1.2,
    }
    assert made["webhook_events_filter"] == ["completed"]


def test_a_tile_is_pending_until_its_webhook_comes(worker: Worker) -> None:
    worker.cog.seconds = 0.5
    try:
        name = worker.send(tile_input=tile_url()).json()["id"]
        assert worker.result(name).json() == {"id": name, "status": "pending"}
        assert until_known(worker, name)["status"] == "succeeded"
    finally:
        worker.cog.seconds = 0.0
    assert worker.result("never-sent").status_code == 404


def test_a_tile_that_fails_is_known_as_failed(worker: Worker) -> None:
    worker.cog.fault = "fail"
    try:
        record = until_known(worker, worker.send(tile_input=tile_url()).json()["id"])
    finally:
        worker.cog.fault = None
    assert record["status"] == "failed"
    assert "told to fail" in record["error"]


def test_only_with_the_key(worker: Worker) -> None:
    before = len(worker.gateway.predictions())
    assert worker.send(key="wrong", tile_input=tile_url()).status_code == 401
    assert httpx.post(worker.url, json={"tile_input": tile_url()}).status_code == 401
    assert httpx.get(f"{worker.url}/x").status_code == 401
    assert worker.result("unknown").status_code == 404
    assert len(worker.gateway.predictions()) == before


def test_what_the_api_refuses_is_passed_on(worker: Worker) -> None:
    assert worker.send().status_code == 422
    answer = worker.send(tile_input="no address")
    assert answer.status_code == 422
    assert "uri" in answer.json()["error"]


def test_a_webhook_counts_once(worker: Worker) -> None:
    assert worker.webhook(b'{"id": "twice", "status": "succeeded", "output": "a"}').status_code == 200
    assert worker.webhook(b'{"id": "twice", "status": "failed", "output": "b"}').status_code == 200
    assert worker.result("twice").json()["output"] == "a"
    assert worker.webhook(b'{"id": "early", "status": "processing"}').status_code == 200
    assert worker.result("early").status_code == 404


def test_webhooks_without_a_valid_signature_are_refused(worker: Worker) -> None:
    body = b'{"id": "forged", "status": "succeeded", "output": "evil"}'
    old = webhook_headers(worker.gateway.keys.webhook_secret, "msg_1", int(time.time()) - 600, body)
    for changed in (
        {"webhook_id": "msg_2"},
        {"webhook_timestamp": str(int(time.time()) - 1)},
        {"webhook_timestamp": "soon"},
        {"webhook_signature": "v1,"},
        {"webhook_signature": "v1"},
        {"webhook_signature": "v1,%%%"},
        {"webhook_signature": "v2," + old["webhook-signature"].removeprefix("v1,")},
        {name.replace("-", "_"): value for name, value in old.items()},
    ):
        assert worker.webhook(body, **changed).status_code == 401, changed
    assert httpx.post(f"{worker.url}/webhook", content=body).status_code == 401
    assert worker.result("forged").status_code == 404


def test_a_second_signature_is_enough(worker: Worker) -> None:
    body = b'{"id": "rotated", "status": "succeeded", "output": "a"}'
    right = webhook_headers(worker.gateway.keys.webhook_secret, "msg_1", int(time.time()), body)
    assert worker.webhook(body, webhook_signature=f"v1,AAAA {right['webhook-signature']}").status_code == 200
