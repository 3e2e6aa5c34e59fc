"""Trainings: the same states as predictions, on containers of their own, for the official clients too."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from replicate.client import Client
from replicate.exceptions import ReplicateError

from luxscaler.gateway.run import Run
from luxscaler.gateway.store import Store
from tests.gateway.test_runner import QUICK, eventually
from tests.support.fake_cog import FakeCog, fake_cog
from tests.support.gateway_npm import npm_packages
from tests.support.gateway_server import GatewayServer, gateway_server
from tests.support.webhook_receiver import webhook_receiver

WEIGHTS = b"a tar of weights"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FakeCog, FakeCog, GatewayServer]]:
    folder = tmp_path_factory.mktemp("gateway")
    with (
        fake_cog() as cog,
        fake_cog(kind="trainings") as trainer,
        gateway_server(folder, cog.url, trainers=(trainer.url,), page_size=3, **QUICK) as gateway,
    ):
        yield cog, trainer, gateway


@pytest.fixture
def gateway(servers: tuple[FakeCog, FakeCog, GatewayServer]) -> GatewayServer:
    return servers[2]


@pytest.fixture
def trainer(servers: tuple[FakeCog, FakeCog, GatewayServer]) -> FakeCog:
    _, trainer, gateway = servers
    trainer.reset()
    trainer.schema, trainer.output = None, WEIGHTS
    eventually(lambda: all(found["completed_at"] for found in _all(gateway)))
    return trainer


def _path(gateway: GatewayServer, version: str = "") -> str:
    return f"/v1/models/{gateway.model}/versions/{version or gateway.version}/trainings"


def _create(gateway: GatewayServer, **body: Any) -> dict[str, Any]:
    whole = {"destination": gateway.model, "input": {"pictures": "https://example.com/p.zip"}, **body}
    answer = gateway.post(_path(gateway), json=whole)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def _until(gateway: GatewayServer, name: str, *statuses: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def holds() -> bool:
        found.update(gateway.get(f"/v1/trainings/{name}").raise_for_status().json())
        return found["status"] in statuses

    eventually(holds)
    return found


def _all(gateway: GatewayServer) -> list[dict[str, Any]]:
    found, page = [], "/v1/trainings"
    while page:
        answer = gateway.get(page).raise_for_status().json()
        found += answer["results"]
        page = answer["next"]
    return found


def test_a_training_runs_on_its_own_container_and_gives_weights(
    gateway: GatewayServer, trainer: FakeCog, servers: Any
) -> None:
    made = _create(gateway)
    assert made["status"] == "starting"
    assert made["destination"] == gateway.model
    assert made["urls"]["cancel"] == f"{gateway.settings.base_url}/v1/trainings/{made['id']}/cancel"
    done = _until(gateway, made["id"], "succeeded", "failed")
    assert done["status"] == "succeeded", done
    assert re.fullmatch(f"{gateway.model}:[0-9a-f]{{64}}", done["output"]["version"])
    assert done["output"]["weights"].partition("?")[0].endswith(".tar")
    assert gateway.plain.get(done["output"]["weights"]).content == WEIGHTS
    assert "fake: upsampling" in done["logs"]
    assert done["metrics"]["predict_time"] >= 0
    assert trainer.predictions[-1].input == {"pictures": "https://example.com/p.zip"}
    assert not servers[0].predictions  # the container for predictions was not asked


def test_lists_are_of_one_kind_and_ids_too(gateway: GatewayServer, trainer: FakeCog) -> None:
    names = [_create(gateway)["id"] for _ in range(4)]
    prediction = gateway.create({"tile_input": "data:image/png;base64,"}, None)["id"]
    found = [each["id"] for each in _all(gateway)]
    assert found[:4] == names[::-1]
    assert len(gateway.get("/v1/trainings").json()["results"]) == 3
    assert prediction not in found
    assert not set(names) & {each["id"] for each in gateway.predictions()}
    for path in (f"predictions/{names[0]}", f"trainings/{prediction}"):
        assert gateway.get(f"/v1/{path}").status_code == 404
        assert gateway.post(f"/v1/{path}/cancel").status_code == 404


def test_a_canceled_training_is_canceled_in_the_container(gateway: GatewayServer, trainer: FakeCog) -> None:
    trainer.seconds = 60.0
    made = _create(gateway)
    _until(gateway, made["id"], "processing")
    canceled = gateway.post(f"/v1/trainings/{made['id']}/cancel").json()
    assert (canceled["status"], canceled["output"]) == ("canceled", None)
    eventually(lambda: trainer.predictions[-1].status == "canceled")
    assert trainer.calls["POST /trainings/{id}/cancel"] >= 1
    waiting = [_create(gateway)["id"] for _ in range(2)]
    for name in waiting[::-1]:
        assert gateway.post(f"/v1/trainings/{name}/cancel").json()["status"] == "canceled"


def test_webhooks_are_signed_and_tell_the_training(gateway: GatewayServer, trainer: FakeCog) -> None:
    trainer.seconds = 0.2
    with webhook_receiver() as receiver:
        events = ["start", "completed"]
        made = _create(gateway, webhook=receiver.url, webhook_events_filter=events)
        first, last = (each.verified(gateway.keys.webhook_secret) for each in receiver.wait(2))
    assert (first["id"], first["status"], first["destination"]) == (made["id"], "processing", gateway.model)
    assert last == _until(gateway, made["id"], "succeeded")


def test_a_trainer_that_is_lost_fails_the_training(gateway: GatewayServer, trainer: FakeCog) -> None:
    trainer.fault = "cut"
    done = _until(gateway, _create(gateway)["id"], "failed", "succeeded")
    assert "was lost while it worked on this training" in done["error"]


def test_bad_requests_have_their_own_answers(gateway: GatewayServer, trainer: FakeCog) -> None:
    good = {"destination": gateway.model, "input": {}}
    for path, body, status, said in (
        (_path(gateway), {"input": {}}, 422, "destination is required"),
        (_path(gateway), {**good, "destination": "no name"}, 422, "must be owner/name"),
        (_path(gateway), {**good, "destination": "local/none"}, 404, "training destination does not exist"),
        (_path(gateway), {"destination": gateway.model}, 422, "input: an object is required"),
        (_path(gateway), {**good, "webhook": "ftp://x"}, 422, "webhook"),
        (_path(gateway, "0" * 64), good, 422, "version does not exist"),
        (f"/v1/models/a/b/versions/{gateway.version}/trainings", good, 404, "could not be found"),
    ):
        answer = gateway.post(path, json=body)
        assert answer.status_code == status, answer.text
        assert said in answer.json()["detail"]
    assert gateway.plain.post(_path(gateway), json=good).status_code == 401
    assert gateway.plain.get("/v1/trainings").status_code == 401


def test_inputs_are_checked_by_the_trainings_schema(tmp_path: Path) -> None:
    properties = {"pictures": {"type": "string"}, "steps": {"type": "integer", "minimum": 1}}
    model = {"type": "object", "required": ["pictures"], "properties": properties}
    schema = {"components": {"schemas": {"TrainingInput": model}}}
    with (
        fake_cog(kind="trainings", schema=schema) as trainer,
        gateway_server(tmp_path, trainers=(trainer.url,)) as gateway,
    ):
        body = {"destination": gateway.model, "input": {"steps": 0}}
        answer = gateway.post(_path(gateway), json=body)
        assert answer.status_code == 422
        fields = [each["field"] for each in answer.json()["invalid_fields"]]
        assert fields == ["input.pictures", "input.steps"]


def test_a_gateway_without_a_trainer_says_so(tmp_path: Path) -> None:
    with fake_cog() as cog, gateway_server(tmp_path, cog.url) as gateway:
        answer = gateway.post(_path(gateway), json={"destination": gateway.model, "input": {}})
        assert answer.status_code == 422
        assert "cannot be trained" in answer.json()["detail"]


def test_destinations_are_created_once(gateway: GatewayServer) -> None:
    body = {"owner": "local", "name": "mine", "visibility": "private", "hardware": "gpu-l40s"}
    made = gateway.post("/v1/models", json=body)
    assert made.status_code == 201, made.text
    assert gateway.get("/v1/models/local/mine").json() == made.json()
    assert gateway.get("/v1/models/local/mine/versions").json()["results"] == []
    for changes, status, said in (
        ({}, 422, "already exists"),
        ({"name": "NO"}, 422, "owner and name"),
        ({"owner": "somebody", "name": "a"}, 403, "only create models for local"),
        ({"name": "a", "visibility": "secret"}, 422, "private or public"),
        ({"name": "a", "hardware": "abacus"}, 422, "hardware"),
        ({"name": "a", "hardware": ["abacus"]}, 422, "hardware"),
        ({"name": "a" * 300}, 422, "owner and name"),
        ({"name": ["a"]}, 422, "owner and name"),
        ({"name": "a", "description": 5}, 422, "must be a text"),
    ):
        answer = gateway.post("/v1/models", json={**body, **changes})
        assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text


def test_the_database_of_an_older_gateway_is_used(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sqlite3"
    store = Store(path)
    kept = store.add(Run("a" * 26, "o/n", "v", {"x": 1}, 1.0))
    store.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP INDEX predictions_kind")
        for column in ("kind", "destination"):
            database.execute(f"ALTER TABLE predictions DROP COLUMN {column}")
    again = Store(path)
    assert again.run(kept.id) == kept
    assert [found.id for found in again.runs_before("predictions", 9, 9)] == [kept.id]
    assert again.runs_before("trainings", 9, 9) == []


@pytest.fixture
def client(gateway: GatewayServer, trainer: FakeCog, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("REPLICATE_BASE_URL", gateway.url)
    monkeypatch.setenv("REPLICATE_POLL_INTERVAL", "0.05")
    return Client(api_token=gateway.token)


@pytest.mark.slow
def test_the_python_client(client: Client, gateway: GatewayServer, trainer: FakeCog, tmp_path: Path) -> None:
    archive = tmp_path / "pictures.zip"
    archive.write_bytes(b"PK")
    model = client.models.create("local", "by-client", visibility="private", hardware="gpu-l40s")
    destination = f"{model.owner}/{model.name}"
    with archive.open("rb") as file:
        training = client.trainings.create(
            model=gateway.model, version=gateway.version, input={"pictures": file}, destination=destination
        )
    assert (training.status, training.destination) == ("starting", destination)
    eventually(lambda: training.reload() or training.status == "succeeded")  # type: ignore[func-returns-value]
    assert isinstance(training.output, dict)
    assert training.destination == destination
    assert gateway.plain.get(training.output["weights"]).content == WEIGHTS
    assert str(trainer.predictions[-1].input["pictures"]).startswith(f"{gateway.url}/v1/files/")
    assert client.trainings.list().results[0].id == training.id
    trainer.seconds = 60.0
    second = client.trainings.create(f"{gateway.model}:{gateway.version}", {"pictures": "x"}, gateway.model)
    second.cancel()
    assert second.status == "canceled"
    assert client.trainings.cancel(training.id).status == "succeeded"  # it was over
    with pytest.raises(ReplicateError, match="training destination does not exist"):
        client.trainings.create(f"{gateway.model}:{gateway.version}", {}, "local/nowhere")


SCRIPT = """
const Replicate = require("replicate");
(async () => {
  const [url, auth, model, version] = process.argv.slice(2);
  const replicate = new Replicate({ baseUrl: url + "/v1", auth });
  const [owner, name] = model.split("/");
  const input = { pictures: "https://example.com/p.zip" };
  const created = await replicate.trainings.create(owner, name, version, { destination: model, input });
  let training = created;
  while (!["succeeded", "failed", "canceled"].includes(training.status)) {
    await new Promise((wake) => setTimeout(wake, 50));
    training = await replicate.trainings.get(created.id);
  }
  const weights = await (await fetch(training.output.weights)).text();
  const second = await replicate.trainings.create(owner, name, version, { destination: model, input });
  const canceled = await replicate.trainings.cancel(second.id);
  const listed = (await replicate.trainings.list()).results.map((each) => each.id);
  console.log(JSON.stringify({ created, training, weights, second, canceled, listed }));
})().catch((error) => { console.error(error); process.exit(1); });
"""


@pytest.mark.slow
def test_the_javascript_client(gateway: GatewayServer, trainer: FakeCog, tmp_path: Path) -> None:
    modules = npm_packages("replicate@1.4.0")
    node = shutil.which("node")
    assert node is not None
    script = tmp_path / "client.cjs"
    script.write_text(SCRIPT)
    trainer.seconds = 0.3
    ran = subprocess.run(
        [node, str(script), gateway.url, gateway.token, gateway.model, gateway.version],
        env={**os.environ, "NODE_PATH": str(modules)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    result = json.loads(ran.stdout)
    assert result["created"]["status"] == "starting"
    assert result["training"]["status"] == "succeeded"
    assert result["weights"].encode() == WEIGHTS
    assert result["canceled"]["status"] == "canceled"
    assert result["listed"][:2] == [result["second"]["id"], result["created"]["id"]]
