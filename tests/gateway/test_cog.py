"""The gateway before the real container: real Cog server, real weights."""

import base64
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest

from luxscaler.io.read import read_picture
from tests.gateway.test_runner import eventually, tile_url
from tests.support.cog_server import CogServer, built_cog_server, cog_server
from tests.support.fake_cog import fake_cog
from tests.support.gateway_server import gateway_server
from tests.support.webhook_receiver import webhook_receiver

pytestmark = pytest.mark.slow
FAST = {"output_format": "exr", "model": "fast", "scale": 2}


@pytest.fixture(scope="module")
def cog(real_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CogServer]:
    with cog_server(tmp_path_factory.mktemp("cog")) as running:
        yield running


def test_a_tile_through_the_gateway_and_back(cog: CogServer, tmp_path: Path) -> None:
    with gateway_server(tmp_path, cog.url) as gateway, webhook_receiver() as receiver:
        file = gateway.post("/v1/files", files={"content": ("a.png", _png(), "image/png")}).json()
        made = gateway.create({"tile_input": file["urls"]["get"], **FAST}, 60, webhook=receiver.url)
        assert made["status"] == "succeeded", made["error"]
        assert made["metrics"]["output"] == {"width": 12, "height": 8, "peak": 1.0}
        picture = read_picture(gateway.plain.get(made["output"]).content)
        assert (picture.width, picture.height) == (12, 8)
        last = receiver.wait(2)[-1].verified(gateway.keys.webhook_secret)
        assert last["status"] in ("processing", "succeeded")


def test_an_error_of_the_model_comes_through(cog: CogServer, tmp_path: Path) -> None:
    with gateway_server(tmp_path, cog.url) as gateway:
        made = gateway.create({"tile_input": tile_url(), "hdr_boost": 99}, 60)
        assert made["status"] == "failed"
        assert "hdr_boost" in made["error"]


def test_two_containers_are_asked_in_turn(cog: CogServer, tmp_path: Path) -> None:
    with fake_cog() as other, gateway_server(tmp_path, cog.url, other.url) as gateway:
        made = [gateway.create({"tile_input": tile_url(), **FAST}, None)["id"] for _ in range(6)]
        assert [gateway.until(name, "succeeded", "failed", seconds=60)["status"] for name in made] == [
            "succeeded"
        ] * 6


def test_cancel_reaches_the_container(cog: CogServer, tmp_path: Path) -> None:
    with gateway_server(tmp_path, cog.url) as gateway:
        made = gateway.create({"tile_input": tile_url(240, 180), "scale": 4}, None)
        gateway.until(made["id"], "processing")
        assert gateway.post(f"/v1/predictions/{made['id']}/cancel").json()["status"] == "canceled"
        eventually(cog.is_ready, 60)


def _png() -> bytes:
    return base64.b64decode(tile_url().partition(",")[2])


def test_a_built_container_and_the_gateway_name_what_is_wrong(real_weights: Path, tmp_path: Path) -> None:
    with built_cog_server(tmp_path) as cog, gateway_server(tmp_path / "gateway", cog.url) as gateway:
        shown = gateway.get(f"/v1/models/{gateway.model}").json()["latest_version"]["openapi_schema"]
        assert "hdr_boost" in shown["components"]["schemas"]["Input"]["properties"]
        answer = gateway.post(
            "/v1/predictions",
            json={"version": gateway.version, "input": {"tile_input": tile_url(), "hdr_bost": 2}},
        )
        assert answer.status_code == 422
        assert "did you mean hdr_boost?" in answer.json()["detail"]
        with pytest.raises(HTTPError) as error:
            cog.predict(tile_input=tile_url(), hdr_boost=99)
        assert error.value.code == 422
        assert b"hdr_boost" in error.value.read()
        made = gateway.create({"tile_input": tile_url(), **FAST}, 60)
        assert made["status"] == "succeeded"
