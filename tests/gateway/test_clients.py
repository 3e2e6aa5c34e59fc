"""The official clients, unmodified, against the gateway: replicate 1.0.7 (Python) and 1.4.0 (JavaScript)."""

import base64
import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from replicate.client import Client
from replicate.exceptions import ModelError, ReplicateError
from replicate.webhook import Webhooks

from luxscaler.io.read import read_picture
from luxscaler.io.write import export
from tests.support.fake_cog import FakeCog, fake_cog
from tests.support.gateway_npm import npm_packages
from tests.support.gateway_server import GatewayServer, gateway_server
from tests.support.webhook_receiver import webhook_receiver


@pytest.fixture(scope="module")
def cog() -> Iterator[FakeCog]:
    with fake_cog() as running:
        yield running


@pytest.fixture
def fresh_cog(cog: FakeCog) -> FakeCog:
    cog.seconds, cog.fault, cog.output = 0.0, None, None
    return cog


@pytest.fixture(scope="module")
def gateway(cog: FakeCog, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayServer]:
    with gateway_server(tmp_path_factory.mktemp("gateway"), cog.url, outputs="auto") as running:
        yield running


@pytest.fixture
def client(gateway: GatewayServer, fresh_cog: FakeCog, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("REPLICATE_BASE_URL", gateway.url)
    monkeypatch.setenv("REPLICATE_POLL_INTERVAL", "0.05")
    return Client(api_token=gateway.token)


@pytest.fixture(scope="module")
def tile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tile") / "tile.png"
    export(path, np.random.default_rng(5).random((6, 8, 3), dtype=np.float32), file_format="png")
    return path


def test_run_uploads_the_file_and_gives_the_address_of_the_result(
    client: Client, gateway: GatewayServer, tile: Path
) -> None:
    with tile.open("rb") as file:
        output: Any = client.run(
            f"{gateway.model}:{gateway.version}",
            input={"tile_input": file, "output_format": "exr", "scale": 2},
        )
    picture = read_picture(output.read())
    assert (picture.width, picture.height) == (16, 12)
    assert np.array_equal(picture.rgb[::2, ::2], read_picture(tile).rgb)
    newest = gateway.predictions()[0]
    assert newest["input"]["tile_input"].startswith(f"{gateway.url}/v1/files/")


def test_large_files_are_addresses(
    fresh_cog: FakeCog, tile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a FileOutput: the client makes one of https and data addresses only."""
    with gateway_server(tmp_path, fresh_cog.url, outputs="auto", data_bytes=1000) as gateway:
        monkeypatch.setenv("REPLICATE_BASE_URL", gateway.url)
        output = Client(api_token=gateway.token).run(
            f"{gateway.model}:{gateway.version}",
            input={"tile_input": data_url(tile), "output_format": "exr"},
        )
        assert isinstance(output, str)
        assert read_picture(gateway.plain.get(output).content).width == 32


def test_run_gives_a_file_output_for_data_urls(
    fresh_cog: FakeCog, tile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gateway_server(tmp_path, fresh_cog.url, outputs="data", inputs="data") as gateway:
        monkeypatch.setenv("REPLICATE_BASE_URL", gateway.url)
        client = Client(api_token=gateway.token)
        output: Any = client.run(
            f"{gateway.model}:{gateway.version}",
            input={"tile_input": tile.open("rb"), "output_format": "exr"},
        )
        assert output.url.startswith("data:image/x-exr;base64,")
        assert read_picture(output.read()).width == 32
        assert str(fresh_cog.predictions[-1].input["tile_input"]).startswith("data:image/png;base64,")


def test_run_of_a_model_that_fails_raises_its_error(
    client: Client, gateway: GatewayServer, fresh_cog: FakeCog, tile: Path
) -> None:
    fresh_cog.fault = "fail"
    with pytest.raises(ModelError, match="told to fail"):
        client.run(f"{gateway.model}:{gateway.version}", input={"tile_input": data_url(tile)})


@pytest.mark.slow
def test_run_outlives_the_wait(
    client: Client, gateway: GatewayServer, fresh_cog: FakeCog, tile: Path
) -> None:
    fresh_cog.seconds = 1.5
    output: Any = client.run(
        f"{gateway.model}:{gateway.version}", input={"tile_input": data_url(tile)}, wait=1
    )
    assert output.read()[:4]


def test_predictions_are_created_read_listed_and_canceled(
    client: Client, gateway: GatewayServer, fresh_cog: FakeCog, tile: Path
) -> None:
    fresh_cog.seconds = 30.0
    prediction: Any = client.predictions.create(gateway.version, {"tile_input": data_url(tile)}, wait=False)
    assert prediction.status == "starting"
    gateway.until(prediction.id, "processing")
    prediction.reload()
    assert prediction.status == "processing"
    assert client.predictions.list().results[0].id == prediction.id
    prediction.cancel()
    prediction.reload()
    assert prediction.status == "canceled"
    assert prediction.completed_at
    by_model = client.models.predictions.create(gateway.model, {"tile_input": data_url(tile)})
    assert client.predictions.cancel(by_model.id).status == "canceled"


def test_account_hardware_model_versions_and_secret(client: Client, gateway: GatewayServer) -> None:
    assert client.accounts.current().username == "local"
    assert "gpu-t4" in [hardware.sku for hardware in client.hardware.list()]
    model = client.models.get(gateway.model)
    assert model.latest_version is not None
    assert model.latest_version.id == gateway.version
    version = model.versions.get(gateway.version)
    assert "tile_input" in version.openapi_schema["components"]["schemas"]["Input"]["properties"]
    assert [found.id for found in model.versions.list()] == [gateway.version]
    assert client.webhooks.default.secret().key == gateway.keys.webhook_secret


def test_models_and_deployments_are_found_before_they_are_used(
    client: Client, gateway: GatewayServer, tile: Path
) -> None:
    assert f"{gateway.model}" in [f"{model.owner}/{model.name}" for model in client.models.list()]
    deployment = client.deployments.get(gateway.model)
    assert deployment.current_release is not None
    assert deployment.current_release.version == gateway.version
    assert [f"{each.owner}/{each.name}" for each in client.deployments.list()] == [gateway.model]
    prediction: Any = deployment.predictions.create({"tile_input": data_url(tile)})
    prediction.wait()
    assert prediction.status == "succeeded"
    with pytest.raises(ReplicateError, match="404"):
        client.deployments.get("acme/other")


def test_files(client: Client) -> None:
    file = client.files.create(io.BytesIO(b"bytes"), filename="b.bin", metadata={"tile": 3})
    assert (file.name, file.size, file.metadata) == ("b.bin", 5, {"tile": 3})
    assert client.files.get(file.id).checksums == file.checksums
    assert file.id in [found.id for found in client.files.list()]
    assert client.files.delete(file.id)
    with pytest.raises(ReplicateError, match="404"):
        client.files.get(file.id)


def test_errors_are_the_clients_own(client: Client, gateway: GatewayServer) -> None:
    with pytest.raises(ReplicateError, match="Invalid version"):
        client.predictions.create("0" * 64, {})
    with pytest.raises(ReplicateError, match="tile_input is required"):
        client.predictions.create(gateway.version, {})
    with pytest.raises(ReplicateError, match="Unauthenticated"):
        Client(api_token="wrong").accounts.current()


SCRIPT = """
const Replicate = require("replicate");
const fs = require("node:fs");
(async () => {
  const [url, auth, ref, tile] = process.argv.slice(2);
  const replicate = new Replicate({ baseUrl: url + "/v1", auth });
  const result = {};
  const input = { tile_input: fs.readFileSync(tile), output_format: "exr", scale: 2 };
  const output = await replicate.run(ref, { input });
  result.kind = output.constructor.name;
  const address = String(output);
  const answer = await fetch(address);
  result.bytes = Buffer.from(await answer.arrayBuffer()).toString("base64");
  const version = ref.split(":")[1];
  const file = new File([fs.readFileSync(tile)], "tile.png");
  const upload = await replicate.files.create(file, { part: 1 });
  result.upload = upload;
  const created = await replicate.predictions.create({ version, input: { tile_input: upload.urls.get } });
  result.created = created.status;
  result.waited = (await replicate.wait(created, { interval: 50 })).status;
  result.listed = (await replicate.predictions.list()).results.map((p) => p.id).includes(created.id);
  let pages = 0;
  for await (const page of replicate.paginate(replicate.predictions.list)) pages += page.length;
  result.pages = pages;
  result.canceled = (await replicate.predictions.cancel(created.id)).status;
  result.account = (await replicate.accounts.current()).username;
  result.hardware = (await replicate.hardware.list()).length;
  result.version = (await replicate.models.versions.get(...ref.split(":")[0].split("/"), version)).id;
  result.secret = (await replicate.webhooks.default.secret.get()).key;
  await replicate.files.delete(upload.id);
  try { await replicate.predictions.create({ version: "0".repeat(64), input: {} }); }
  catch (error) { result.error = String(error); }
  console.log(JSON.stringify(result));
})().catch((error) => { console.error(error); process.exit(1); });
"""


@pytest.mark.slow
def test_the_javascript_client(
    gateway: GatewayServer, fresh_cog: FakeCog, tile: Path, tmp_path: Path
) -> None:
    modules = npm_packages("replicate@1.4.0")
    script = tmp_path / "client.cjs"
    script.write_text(SCRIPT)
    node = shutil.which("node")
    assert node is not None
    ran = subprocess.run(
        [node, str(script), gateway.url, gateway.token, f"{gateway.model}:{gateway.version}", str(tile)],
        env={**os.environ, "NODE_PATH": str(modules)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    result = json.loads(ran.stdout)
    assert result["kind"] == "FileOutput"  # a small file is a data URL, which the client makes one of
    assert read_picture(base64.b64decode(result["bytes"])).width == 16
    assert result["upload"]["size"] == tile.stat().st_size
    assert result["upload"]["metadata"] == {"part": 1}
    assert result["created"] == "starting"
    assert result["waited"] == "succeeded"
    assert result["listed"]
    assert result["pages"] == len(gateway.predictions())
    assert result["canceled"] == "succeeded"  # it was over
    assert result["account"] == "local"
    assert result["hardware"] == 6
    assert result["version"] == gateway.version
    assert result["secret"] == gateway.keys.webhook_secret
    assert "422" in result["error"]


def test_the_python_client_verifies_a_webhook(client: Client, gateway: GatewayServer, tile: Path) -> None:
    with webhook_receiver() as receiver:
        client.predictions.create(
            gateway.version,
            {"tile_input": data_url(tile)},
            webhook=receiver.url,
            webhook_events_filter=["completed"],
        )
        delivery = receiver.wait(1)[0]
    secret = client.webhooks.default.secret()
    Webhooks.validate(headers=delivery.headers, body=delivery.body.decode(), secret=secret)


def data_url(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
