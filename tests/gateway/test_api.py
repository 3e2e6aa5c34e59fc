"""The API over HTTP: who may call, what is kept for how long, what errors look like."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.test_runner import eventually, inputs
from tests.support.fake_clock import ManualClock
from tests.support.fake_cog import FakeCog, fake_cog
from tests.support.gateway_server import GatewayServer, gateway_server

HOUR = 3600.0
LIMIT = 300_000


@pytest.fixture(scope="module")
def cog() -> Iterator[FakeCog]:
    with fake_cog() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(cog: FakeCog, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayServer]:
    folder = tmp_path_factory.mktemp("gateway")
    with gateway_server(folder, cog.url, max_file_bytes=LIMIT, max_body_bytes=LIMIT, page_size=3) as running:
        yield running


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body


def test_every_call_needs_the_token(gateway: GatewayServer) -> None:
    for path in ("account", "predictions", "predictions/x", "files", "hardware", "webhooks/default/secret"):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": gateway.token}):
            problem(gateway.plain.get(f"{gateway.url}/v1/{path}", headers=headers), 401)
    problem(gateway.plain.post(f"{gateway.url}/v1/predictions", content=b"{}"), 401)
    assert gateway.plain.get(
        f"{gateway.url}/v1/account", headers={"Authorization": f"Token {gateway.token}"}
    ).is_success


def test_what_is_not_there(gateway: GatewayServer) -> None:
    for path in ("predictions/x", "files/x", "models/a/b", "models/a/b/versions", "nope", "predictions/x/y"):
        problem(gateway.get(f"/v1/{path}"), 404)
    problem(gateway.get(f"/v1/models/{gateway.model}/versions/{'0' * 64}"), 404)
    problem(gateway.get("/"), 404)
    problem(gateway.http.put("/v1/predictions"), 405)
    problem(gateway.post("/v1/models/a/b/predictions", json={"input": {}}), 404)
    problem(gateway.get("/v1/predictions?cursor=x"), 400)


@pytest.mark.parametrize(
    "path", ["..%2f..%2ftoken", "%2e%2e/%2e%2e/token", "....//token", "a%00b", "output.exr%00", "..\\token"]
)
def test_paths_lead_nowhere_else(gateway: GatewayServer, path: str) -> None:
    for base in ("/outputs/abcdefghijklmnopqrstuvwx23/", "/v1/files/", "/v1/predictions/", "/outputs/"):
        assert gateway.get(base + path).status_code in (403, 404)


def test_create_in_every_form(gateway: GatewayServer) -> None:
    for version in (
        gateway.version,
        f"{gateway.model}:{gateway.version}",
        f"r8.im/{gateway.model}:{gateway.version}",
    ):
        answer = gateway.post("/v1/predictions", json={"version": version, "input": inputs()})
        assert answer.status_code == 201
        assert answer.json()["status"] == "starting"
        assert re.fullmatch(r"[a-z0-9]{26}", answer.json()["id"])
        assert answer.json()["version"] == gateway.version
    for kind in ("models", "deployments"):
        answer = gateway.post(f"/v1/{kind}/{gateway.model}/predictions", json={"input": inputs()})
        assert answer.status_code == 201
        gateway.until(answer.json()["id"], "succeeded")


def test_a_create_that_is_refused_creates_nothing(gateway: GatewayServer) -> None:
    before = len(gateway.predictions())
    body = {"version": gateway.version, "input": inputs()}
    wrong: tuple[tuple[int, dict[str, Any]], ...] = (
        (422, {"version": "0" * 64}),
        (422, {"input": {}}),
        (422, {"input": inputs(hdr_boost=99)}),
        (422, {"webhook": "nowhere"}),
    )
    for status, change in wrong:
        problem(gateway.post("/v1/predictions", json=body | change), status)
    problem(gateway.post("/v1/predictions", content=b"{"), 400)
    problem(gateway.post("/v1/predictions", json=body, headers={"Prefer": "wait=99"}), 400)
    problem(gateway.post("/v1/predictions", json=body, headers={"Cancel-After": "1s"}), 400)
    assert len(gateway.predictions()) == before


def test_lists_are_paged_with_whole_addresses(gateway: GatewayServer) -> None:
    made = [gateway.create(inputs(), wait=None)["id"] for _ in range(4)]
    first = gateway.get("/v1/predictions").json()
    assert [item["id"] for item in first["results"]] == made[:0:-1]
    assert first["previous"] is None
    assert first["next"].startswith(f"{gateway.url}/v1/predictions?cursor=")
    second = gateway.get(first["next"]).json()
    assert second["results"][0]["id"] == made[0]
    # Ids alone: the runner begins the predictions meanwhile.
    again = gateway.get(second["previous"]).json()["results"]
    assert [item["id"] for item in again] == [item["id"] for item in first["results"]]


def test_uploads_within_the_limit(gateway: GatewayServer) -> None:
    answer = gateway.post(
        "/v1/files", files={"content": ("ü.png", b"x" * LIMIT, "image/png"), "metadata": (None, '{"a": 1}')}
    )
    assert answer.status_code == 201
    file = answer.json()
    assert (file["name"], file["size"], file["metadata"]) == ("ü.png", LIMIT, {"a": 1})
    assert gateway.get(file["urls"]["get"]).json() == file  # metadata, not bytes
    assert file in gateway.get("/v1/files").json()["results"]
    assert gateway.http.delete(f"/v1/files/{file['id']}").status_code == 204
    problem(gateway.get(file["urls"]["get"]), 404)
    problem(gateway.http.delete(f"/v1/files/{file['id']}"), 404)


def test_uploads_that_are_refused_leave_nothing(gateway: GatewayServer) -> None:
    problem(gateway.post("/v1/files", files={"content": ("a", b"x" * (LIMIT + 1))}), 413)
    problem(gateway.post("/v1/files", files={"other": ("a", b"x")}), 422)
    problem(gateway.post("/v1/files", data={"content": "text"}), 422)
    problem(gateway.post("/v1/files", json={}), 422)
    problem(gateway.post("/v1/files", content=b"x", headers={"Content-Type": "multipart/form-data"}), 400)
    problem(gateway.post("/v1/files", files={"content": ("a", b"x"), "metadata": (None, "[]")}), 400)
    assert not list((gateway.settings.data / "work").iterdir())
    assert not list((gateway.settings.data / "files").iterdir())


def endless(total: int) -> Iterator[bytes]:
    """Chunks of a body whose length nobody announces."""
    yield b'--b\r\nContent-Disposition: form-data; name="content"; filename="a"\r\n\r\n'
    for _ in range(total // 65536):
        yield b"x" * 65536


@pytest.mark.slow
def test_bodies_are_limited_without_a_content_length(gateway: GatewayServer) -> None:
    for path in ("/v1/predictions", "/v1/files"):
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        try:
            answer = gateway.post(path, content=endless(64 * 1024 * 1024), headers=headers)
        except httpx.WriteError:
            continue  # the connection was closed while the body was still on its way
        problem(answer, 413)


def test_results_are_read_by_signed_address_without_the_token(gateway: GatewayServer) -> None:
    address = gateway.create(inputs())["output"]
    assert gateway.plain.get(address).is_success
    assert gateway.plain.get(address, headers={"Authorization": "Bearer anything"}).is_success
    assert gateway.plain.head(address).headers["content-length"] == str(
        len(gateway.plain.get(address).content)
    )
    part = gateway.plain.get(address, headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"v/1\x01")
    problem(gateway.plain.get(address.replace("signature=", "signature=0")), 403)
    problem(gateway.plain.get(address.partition("?")[0]), 403)


def test_data_lives_for_an_hour_and_uploads_for_a_day(cog: FakeCog, tmp_path: Path) -> None:
    clock = ManualClock()
    with gateway_server(tmp_path, cog.url, clock=clock) as gateway:
        file = gateway.post("/v1/files", files={"content": ("a", b"x")}).json()
        made = gateway.create(inputs())
        clock.advance(HOUR - 5)
        assert gateway.prediction(made["id"]) == made
        assert gateway.plain.get(made["output"]).is_success
        clock.advance(6)
        eventually(lambda: gateway.prediction(made["id"])["data_removed"])
        found = gateway.prediction(made["id"])
        assert (found["input"], found["output"], found["logs"]) == ({}, None, "")
        assert (found["status"], found["metrics"]) == ("succeeded", made["metrics"])
        problem(gateway.plain.get(made["output"]), 403)
        assert not list((gateway.settings.data / "outputs").iterdir())
        clock.advance(23 * HOUR)
        problem(gateway.get(file["urls"]["get"]), 404)
        eventually(lambda: not list((gateway.settings.data / "files").iterdir()))


@pytest.mark.slow
def test_rate_limits_when_they_are_on(cog: FakeCog, tmp_path: Path) -> None:
    clock = ManualClock()
    with gateway_server(
        tmp_path, cog.url, clock=clock, rate_limits=True, creates_per_minute=6, calls_per_minute=4
    ) as gateway:
        body = {"version": gateway.version, "input": inputs()}
        for number in range(6):
            answer = gateway.post("/v1/predictions", json=body)
            assert answer.status_code == 201
            assert answer.headers["ratelimit-remaining"] == str(5 - number)
            clock.advance(1.0)
        refused = gateway.post("/v1/predictions", json=body)
        assert problem(refused, 429)["retry_after"] == 54
        assert refused.headers["ratelimit-remaining"] == "0"
        assert refused.headers["ratelimit-reset"] == "54"
        assert gateway.get("/v1/account").is_success  # counted apart
        clock.advance(54.0)
        assert gateway.post("/v1/predictions", json=body).status_code == 201
        assert [gateway.get("/v1/account").status_code for _ in range(4)] == [200] * 3 + [429]


def test_without_them_there_are_no_headers(gateway: GatewayServer) -> None:
    assert "ratelimit-remaining" not in gateway.get("/v1/account").headers


def test_containers_without_a_schema_check_for_themselves(tmp_path: Path) -> None:
    with fake_cog(schema=None) as cog, gateway_server(tmp_path, cog.url) as gateway:
        version = gateway.get(f"/v1/models/{gateway.model}/versions").json()["results"][0]
        assert version["openapi_schema"]["components"]["schemas"]["Output"]
        made = gateway.create({"unknown": 1})
        assert (made["status"], "tile_input" in made["error"]) == ("failed", True)


def test_progress_needs_its_signature(gateway: GatewayServer) -> None:
    made = gateway.create(inputs())
    problem(
        gateway.plain.post(f"{gateway.url}/internal/cog/{made['id']}/0", json={"status": "processing"}), 403
    )


@pytest.mark.slow
def test_another_address_in_replies(cog: FakeCog, tmp_path: Path) -> None:
    with gateway_server(tmp_path, cog.url, public_url="https://public.example/") as gateway:
        made = gateway.create(inputs())
        assert made["urls"]["get"] == f"https://public.example/v1/predictions/{made['id']}"
        assert made["output"].startswith("https://public.example/outputs/")
