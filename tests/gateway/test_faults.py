"""The faults themselves: what tests of clients rely on."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.gateway.test_limits import ask, echo_length
from tests.gateway.test_runner import inputs
from tests.support.fake_cog import fake_cog
from tests.support.gateway_faults import (
    Duplicating,
    Fault,
    Faults,
    Reset,
    ServerError,
    SlowBody,
    Throttle,
    Truncate,
)
from tests.support.gateway_server import GatewayServer, gateway_server


@pytest.fixture(scope="module")
def faults() -> Faults:
    return Faults()


@pytest.fixture(scope="module")
def gateway(faults: Faults, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayServer]:
    folder = tmp_path_factory.mktemp("gateway")
    with fake_cog() as cog, gateway_server(folder, cog.url, middleware=faults.around) as running:
        yield running


def test_a_storm_of_429_and_then_calm(gateway: GatewayServer, faults: Faults) -> None:
    faults.add(Throttle(retry_after=2), path="/v1/account", times=3)
    answers = [gateway.get("/v1/account") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [429, 429, 429, 200]
    assert answers[0].json()["retry_after"] == 2
    faults.add(Throttle(retry_after=None), path="/v1/account")
    assert "retry_after" not in gateway.get("/v1/account").json()


def test_faults_hit_what_they_are_meant_for(gateway: GatewayServer, faults: Faults) -> None:
    faults.add(ServerError(503), path="/v1/predictions", method="POST", times=None)
    assert gateway.get("/v1/predictions").is_success
    assert [gateway.post("/v1/predictions").status_code for _ in range(2)] == [503, 503]
    faults.clear()
    assert gateway.post("/v1/predictions").status_code == 400
    assert faults.seen[-2:] == [("POST", "/v1/predictions")] * 2


def test_a_create_whose_reply_is_lost_has_been_made(gateway: GatewayServer, faults: Faults) -> None:
    before = len(gateway.predictions())
    fault: Fault
    for fault in (ServerError(502), Reset()):
        faults.add(fault, path="/v1/predictions", method="POST", after=True)
        try:
            body = {"version": gateway.version, "input": inputs()}
            assert gateway.post("/v1/predictions", json=body).status_code == 502
        except httpx.TransportError:
            assert fault == Reset()
    assert len(gateway.predictions()) == before + 2


def test_resets_and_truncations_break_the_connection(gateway: GatewayServer, faults: Faults) -> None:
    whole = gateway.get("/v1/hardware")
    faults.add(Reset(), path="/v1/hardware")
    with pytest.raises(httpx.TransportError):
        gateway.get("/v1/hardware")
    faults.add(Truncate(0.5), path="/v1/hardware")
    with pytest.raises(httpx.RemoteProtocolError):
        gateway.get("/v1/hardware")
    faults.add(Truncate(0.5, honest=True), path="/v1/hardware")
    assert gateway.get("/v1/hardware").content == whole.content[: len(whole.content) // 2]
    assert gateway.get("/v1/hardware").json() == whole.json()


def test_results_can_be_truncated_and_slow(gateway: GatewayServer, faults: Faults, tmp_path: Path) -> None:
    address = gateway.create(inputs())["output"]
    whole = gateway.plain.get(address).content
    faults.add(Truncate(0.9), path="/outputs/")
    with pytest.raises(httpx.RemoteProtocolError):
        gateway.plain.get(address)
    faults.add(SlowBody(0.1), path="/outputs/")
    start = time.monotonic()
    assert gateway.plain.get(address).content == whole
    assert time.monotonic() - start >= 0.1
    faults.add(SlowBody(1.0, pieces=1), path="/outputs/")
    with pytest.raises(httpx.ReadTimeout):
        gateway.plain.get(address, timeout=0.05)


@pytest.mark.slow
def test_duplicated_webhooks_have_one_reply() -> None:
    seen: list[bytes] = []

    async def app(scope, receive, send):  # type: ignore[no-untyped-def]
        seen.append((await receive())["body"])
        scope.setdefault("state", {})

        async def again():  # type: ignore[no-untyped-def]
            return {"type": "http.request", "body": seen[-1], "more_body": False}

        await echo_length(scope, again, send)

    reply = ask(Duplicating(app, times=3), [b"ab", b"c"])
    assert seen == [b"abc"] * 3
    assert [message["type"] for message in reply] == ["http.response.start", "http.response.body"]
