"""Predictions from their creation to their end, on containers that are busy, slow, broken or gone."""

import base64
import errno
import io
import os
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from luxscaler.cog import reply
from luxscaler.gateway import runner
from luxscaler.io.read import read_picture
from tests.support.fake_clock import ManualClock
from tests.support.fake_cog import FakeCog, Fault, fake_cog
from tests.support.gateway_server import GatewayServer, free_port, gateway_process, gateway_server

QUICK: dict[str, Any] = {
    "health_seconds": 0.02,
    "cancel_seconds": 0.15,
    "cancel_repeat_seconds": 0.03,
    "expiry_seconds": 0.05,
}

LOST = 60.0
"""A killed gateway waits half a minute for a container's report before it calls a prediction lost."""


@cache
def tile_url(width: int = 6, height: int = 4) -> str:
    """A PNG as a data URL."""
    pixels = np.random.default_rng(3).integers(0, 255, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def inputs(**more: Any) -> dict[str, Any]:
    return {"tile_input": tile_url(), "output_format": "exr", **more}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FakeCog, GatewayServer]]:
    folder = tmp_path_factory.mktemp("gateway")
    with (
        fake_cog() as cog,
        gateway_server(folder, cog.url, **QUICK) as gateway,
    ):
        yield cog, gateway


@pytest.fixture
def gateway(servers: tuple[FakeCog, GatewayServer]) -> GatewayServer:
    """One for all tests here; nothing waits in it or runs."""
    cog, gateway = servers
    cog.reset()
    eventually(lambda: all(found["completed_at"] for found in gateway.predictions()))
    return gateway


@pytest.fixture
def cog(servers: tuple[FakeCog, GatewayServer], gateway: GatewayServer) -> FakeCog:
    """The container of that gateway, as it was at first."""
    cog, _ = servers
    cog.reset()
    return cog


def eventually(holds: Any, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_prediction_succeeds(gateway: GatewayServer, cog: FakeCog) -> None:
    made = gateway.create(inputs(scale=2))
    assert made["status"] == "succeeded"
    assert made["created_at"] <= made["started_at"] <= made["completed_at"]
    assert 0 < made["metrics"]["predict_time"] <= made["metrics"]["total_time"]
    assert made["logs"] == "fake: upsampling\n"
    assert made["input"] == inputs(scale=2)
    answer = gateway.plain.get(made["output"])
    assert answer.headers["content-type"] == "image/x-exr"
    assert read_picture(answer.content).width == 12
    assert cog.predictions[0].id == made["id"]


def test_a_model_that_fails(gateway: GatewayServer, cog: FakeCog) -> None:
    cog.fault = "fail"
    made = gateway.create(inputs())
    assert (made["status"], made["output"]) == ("failed", None)
    assert made["error"] == "Prediction failed: ValueError: told to fail"


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ({"a": [1, "x"], "b": None}, {"a": [1, "x"], "b": None}),
        ("https://elsewhere/out.exr", "https://elsewhere/out.exr"),
        (7, 7),
    ],
)
def test_outputs_that_are_no_files(gateway: GatewayServer, cog: FakeCog, output: Any, shown: Any) -> None:
    cog.output = output
    assert gateway.create(inputs())["output"] == shown


def test_a_busy_container_is_asked_again(gateway: GatewayServer, cog: FakeCog) -> None:
    cog.fault = "refuse"
    made = gateway.create(inputs(), wait=None)
    eventually(lambda: cog.calls["PUT /predictions/{id}"] > 2)
    assert gateway.prediction(made["id"])["status"] == "starting"
    cog.fault = None
    assert gateway.until(made["id"], "succeeded")["error"] is None
    assert len(cog.predictions) == 1


@pytest.mark.parametrize("health", ["STARTING", "DEFUNCT", "BUSY"])
def test_a_container_that_is_not_ready_is_not_asked(
    gateway: GatewayServer, cog: FakeCog, health: str
) -> None:
    cog.becomes(health)
    made = gateway.create(inputs(), wait=None)
    before = cog.calls["GET /health-check"]
    eventually(lambda: cog.calls["GET /health-check"] > before + 2)
    assert cog.calls["PUT /predictions/{id}"] == 0
    cog.health = "READY"
    gateway.until(made["id"], "succeeded")


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("fault", "says"),
    [("500", "answered 500"), ("cut", "was lost"), ("html", "cannot be read"), ("truncate", "was lost")],
)
def test_a_container_that_breaks_fails_the_prediction_once(
    gateway: GatewayServer, cog: FakeCog, fault: Fault, says: str
) -> None:
    cog.fault = fault
    made = gateway.create(inputs())
    assert made["status"] == "failed"
    assert says in made["error"]
    assert "not run again" in made["error"]
    assert cog.calls["PUT /predictions/{id}"] == 1
    assert not list((gateway.settings.data / "work").iterdir())
    cog.fault = None
    assert gateway.create(inputs())["status"] == "succeeded"


def test_a_container_that_is_lost_and_comes_back(gateway: GatewayServer, cog: FakeCog) -> None:
    cog.seconds = 30.0
    running = gateway.create(inputs(), wait=None)
    waiting = gateway.create(inputs(), wait=None)
    gateway.until(running["id"], "processing")
    cog.vanish()
    assert cog.url in gateway.until(running["id"], "failed")["error"]
    time.sleep(0.1)
    assert gateway.prediction(waiting["id"])["status"] == "starting"
    cog.seconds = 0.0
    cog.revive()
    gateway.until(waiting["id"], "succeeded")
    assert [found.id for found in cog.predictions] == [running["id"], waiting["id"]]


@pytest.mark.slow
def test_several_containers_share_the_work_and_one_may_go(tmp_path: Path) -> None:
    with fake_cog(seconds=0.03) as one, fake_cog(seconds=0.03) as two, fake_cog() as gone:
        gone.vanish()
        with gateway_server(tmp_path, one.url, two.url, gone.url) as gateway:
            made = [gateway.create(inputs(), wait=None)["id"] for _ in range(8)]
            found = [gateway.until(name, "succeeded", "failed") for name in made]
    assert [item["status"] for item in found] == ["succeeded"] * 8
    assert one.predictions
    assert two.predictions
    assert sorted(item.id for cog in (one, two) for item in cog.predictions) == sorted(made)


def test_oldest_first(gateway: GatewayServer, cog: FakeCog) -> None:
    cog.becomes("STARTING")
    made = [gateway.create(inputs(), wait=None)["id"] for _ in range(5)]
    cog.health = "READY"
    gateway.until(made[-1], "succeeded")
    assert [item.id for item in cog.predictions] == made


def test_cancel_while_it_waits(gateway: GatewayServer, cog: FakeCog) -> None:
    cog.becomes("STARTING")
    made = gateway.create(inputs(), wait=None)
    canceled = gateway.post(f"/v1/predictions/{made['id']}/cancel").json()
    assert (canceled["status"], canceled["started_at"]) == ("canceled", None)
    cog.health = "READY"
    gateway.create(inputs())
    assert len(cog.predictions) == 1


def test_cancel_while_it_runs(gateway: GatewayServer, cog: FakeCog) -> None:
    cog.seconds = 30.0
    made = gateway.create(inputs(), wait=None)
    gateway.until(made["id"], "processing")
    canceled = gateway.post(f"/v1/predictions/{made['id']}/cancel").json()
    assert canceled["status"] == "canceled"
    assert canceled["metrics"]["predict_time"] > 0
    eventually(lambda: cog.predictions[0].status == "canceled")
    assert gateway.post(f"/v1/predictions/{made['id']}/cancel").json() == canceled
    cog.seconds = 0.0
    assert gateway.create(inputs())["status"] == "succeeded"


def test_a_container_that_does_not_hear_loses_the_connection(gateway: GatewayServer, cog: FakeCog) -> None:
    cog.seconds, cog.fault = 30.0, "deaf"
    made = gateway.create(inputs(), wait=None)
    gateway.until(made["id"], "processing")
    gateway.post(f"/v1/predictions/{made['id']}/cancel")
    eventually(lambda: cog.predictions[0].status == "canceled")
    assert cog.calls["POST /predictions/{id}/cancel"] > 1
    cog.seconds, cog.fault = 0.0, None
    assert gateway.create(inputs())["status"] == "succeeded"
    assert gateway.prediction(made["id"])["status"] == "canceled"


def test_a_wait_that_runs_out_says_starting(cog: FakeCog, tmp_path: Path) -> None:
    clock, cog.seconds = ManualClock(), 30.0
    with gateway_server(tmp_path, cog.url, clock=clock) as gateway, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(gateway.create, inputs(), 1)
        eventually(gateway.predictions)
        name = gateway.predictions()[0]["id"]
        gateway.until(name, "processing")
        assert not waiting.done()
        clock.advance(1.0)
        made = waiting.result(10.0)
        assert (made["id"], made["status"], made["output"]) == (name, "starting", None)
        assert gateway.prediction(name)["status"] == "processing"


@pytest.mark.sample(1)
@pytest.mark.parametrize(("begun", "status"), [(False, "aborted"), (True, "canceled")])
def test_deadlines(cog: FakeCog, tmp_path: Path, begun: bool, status: str) -> None:
    clock = ManualClock()
    cog.seconds = 30.0
    with gateway_server(tmp_path, cog.url, clock=clock) as gateway:
        other = gateway.create(inputs(), wait=None)["id"]
        gateway.until(other, "processing")
        if begun:
            gateway.post(f"/v1/predictions/{other}/cancel")
        answer = gateway.post(
            "/v1/predictions",
            json={"version": gateway.version, "input": inputs()},
            headers={"Cancel-After": "1m"},
        ).json()
        assert answer["deadline"] == "2027-01-15T08:01:00.000000Z"
        clock.advance(1.0)
        gateway.until(answer["id"], "processing" if begun else "starting")
        clock.advance(58.0)
        time.sleep(0.05)
        assert gateway.prediction(answer["id"])["status"] in ("starting", "processing")
        clock.advance(2.0)
        found = gateway.until(answer["id"], "aborted", "canceled")
        assert found["status"] == status
        if begun:
            assert found["metrics"]["predict_time"] > 0
            eventually(lambda: cog.predictions[-1].status == "canceled")


@pytest.mark.slow
def test_a_restart_runs_what_waited_and_fails_what_ran(cog: FakeCog, tmp_path: Path) -> None:
    cog.seconds = 30.0
    with gateway_server(tmp_path, cog.url) as gateway:
        running = gateway.create(inputs(), wait=None)["id"]
        waiting = gateway.create(inputs(), wait=None)["id"]
        gateway.until(running, "processing")
    eventually(lambda: cog.predictions[0].status == "canceled")  # its connection was dropped
    cog.seconds = 0.0
    with gateway_server(tmp_path, cog.url) as gateway:
        found = gateway.prediction(running)
        assert found["status"] == "failed"
        assert "The gateway stopped" in found["error"]
        gateway.until(waiting, "succeeded")
    assert [item.id for item in cog.predictions] == [running, waiting]


def test_a_fault_of_the_gateway_ends_one_prediction_only(
    gateway: GatewayServer, cog: FakeCog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("told to break")

    with monkeypatch.context() as patched:
        patched.setattr(runner.Runner, "_conclude", broken)
        made = gateway.create(inputs())
    assert made["status"] == "failed"
    assert "had a fault" in made["error"]
    assert gateway.create(inputs())["status"] == "succeeded"


def test_a_full_disk_ends_one_prediction_only(
    gateway: GatewayServer, cog: FakeCog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(reply._OutputFile, "feed", full)
        made = gateway.create(inputs())
    assert made["status"] == "failed"
    assert "No space left" in made["error"]
    assert gateway.create(inputs())["status"] == "succeeded"


@pytest.mark.slow
def test_kill_9_loses_nothing_and_runs_nothing_twice(cog: FakeCog, tmp_path: Path) -> None:
    cog.seconds, port = 30.0, free_port()
    with gateway_process(tmp_path, cog.url, port=port) as gateway:
        assert gateway.process is not None
        made = [gateway.create(inputs(), wait=None)["id"] for _ in range(3)]
        gateway.until(made[0], "processing")
        gateway.process.send_signal(signal.SIGKILL)
        gateway.process.wait()
    cog.seconds = 0.0
    with gateway_process(tmp_path, cog.url, port=port) as gateway:
        statuses = [gateway.until(name, "succeeded", "failed", seconds=LOST)["status"] for name in made]
        assert [item["id"] for item in gateway.predictions()] == made[::-1]
    assert statuses == ["failed", "succeeded", "succeeded"]
    assert [item.id for item in cog.predictions] == made


@pytest.mark.slow
def test_a_result_of_5_mb(gateway: GatewayServer, cog: FakeCog) -> None:
    cog.output = os.urandom(5 * 1024 * 1024)
    made = gateway.create(inputs())
    assert gateway.plain.get(made["output"]).content == cog.output


@pytest.mark.slow
def test_uploads_reach_the_container_by_address_or_as_data(cog: FakeCog, tmp_path: Path) -> None:
    picture = base64.b64decode(tile_url().partition(",")[2])
    for way, begins in (("url", "http://127.0.0.1:"), ("data", "data:image/png;base64,")):
        with gateway_server(tmp_path, cog.url, inputs=way) as gateway:
            file = gateway.post("/v1/files", files={"content": ("a.png", picture, "image/png")}).json()
            made = gateway.create({"tile_input": file["urls"]["get"]})
            assert made["status"] == "succeeded"
            assert str(cog.predictions[-1].input["tile_input"]).startswith(begins)
            again = gateway.create({"tile_input": made["output"]})  # a result is an input too
            assert again["status"] == "succeeded"
            gateway.http.delete(f"/v1/files/{file['id']}")
            missing = gateway.create({"tile_input": file["urls"]["get"]})
            assert file["id"] in missing["error"]


@pytest.mark.slow
def test_random_kills_run_nothing_twice_and_forget_nothing(tmp_path: Path) -> None:
    chance, port = random.Random(11), free_port()
    made: list[str] = []
    with fake_cog(seconds=0.05) as one, fake_cog(seconds=0.15) as two:
        for _ in range(7):
            with gateway_process(tmp_path, one.url, two.url, port=port) as gateway:
                assert gateway.process is not None
                made += [gateway.create(inputs(), wait=None)["id"] for _ in range(4)]
                time.sleep(chance.uniform(0.0, 0.4))
                gateway.process.send_signal(signal.SIGKILL)
                gateway.process.wait()
        with gateway_process(tmp_path, one.url, two.url, port=port) as gateway:
            found = {name: gateway.until(name, "succeeded", "failed", seconds=LOST) for name in made}
            assert len(gateway.predictions()) == len(made)
            ran = [item.id for cog in (one, two) for item in cog.predictions]
    assert sorted(ran) == sorted(set(ran))
    assert {name for name, item in found.items() if item["status"] == "succeeded"} <= set(ran)
    assert all(
        "The gateway stopped" in item["error"] for item in found.values() if item["status"] == "failed"
    )
