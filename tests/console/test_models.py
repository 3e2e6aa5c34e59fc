"""Trained models: unpacked from what Replicate gives, shown with path and command, used for masters."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from luxscaler.console.database import FILE_NAME, Database
from tests.support.console_server import ConsoleServer, console_server
from tests.support.replicate_account import VERSION, Account
from tests.support.trained_bundle import bundle, tar


def _trained(account: Account, console: ConsoleServer, folder: Path, output: bytes) -> str:
    account.output = output
    job = console.submit(kind="training", source=str(folder), destination="ada/mine")
    console.until(job, "queued")
    run = account.runs[-1]
    account.finish(run, version=f"ada/mine:{VERSION}")
    console.until_that(job, lambda found: found["results"] == "here")
    return job


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.sample(1)
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_the_network_of_a_training_is_ready_to_use(
    account: Account, console: ConsoleServer, folder: Path, tmp_path: Path, mode: str
) -> None:
    job = _trained(account, console, folder, bundle(tmp_path, mode=mode))
    found = console.until_that(job, lambda found: found["model"] is not None)
    network = (tmp_path / "bundled.safetensors").read_bytes()
    model = found["model"]
    assert Path(model["path"]).read_bytes() == network
    assert model["path"] == str(console.data / "results" / job / "model.safetensors")
    assert model["command"] == f"luxscaler upscale IN OUT --model {model['path']}"
    assert (model["size"], model["sha256"]) == (len(network), hashlib.sha256(network).hexdigest())
    assert model["version"] == f"ada/mine:{VERSION}"
    assert console.get("/api/cloud/models").json() == {"models": [model]}
    assert console.post(f"/api/cloud/jobs/{job}/model").json() == model
    assert console.get(f"/api/cloud/jobs/{job}/files/model.safetensors").content == network
    assert console.delete(f"/api/cloud/jobs/{job}").status_code == 204
    assert console.get("/api/cloud/models").json() == {"models": []}
    assert not Path(model["path"]).exists()


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (b"the weights of a training", "neither a zip nor a tar"),
        (tar({"other.safetensors": b"x"}), "has no model.safetensors"),
        (tar({"model.safetensors": b"x" * 100}), "is no safetensors file"),
        (tar({"../model.safetensors": b"x"}), "leads out of it"),
    ],
)
def test_what_is_no_model_says_so(
    account: Account, console: ConsoleServer, folder: Path, output: bytes, reason: str
) -> None:
    job = _trained(account, console, folder, output)
    answer = console.post(f"/api/cloud/jobs/{job}/model")
    assert answer.status_code == 409
    assert reason in answer.json()["detail"]
    assert console.job(job)["model"] is None
    # The console tries too, as soon as the weights are here, in a folder of its own.
    _until(lambda: [path.name for path in (console.data / "results" / job).iterdir()] == ["weights.tar"])


@pytest.mark.slow
def test_a_master_is_made_with_it_on_the_version_that_was_built(
    account: Account, console: ConsoleServer, folder: Path, picture: Path, tmp_path: Path
) -> None:
    job = _trained(account, console, folder, bundle(tmp_path))
    master = console.submit(kind="master", source=str(picture), trained_by=job, inputs={"scale": 2})
    console.until(master, "queued")
    body = account.runs[-1].body
    assert body["version"] == VERSION
    assert (body["input"]["model"], body["input"]["scale"]) == ("trained", 2)


@pytest.mark.slow
def test_model_trained_means_the_newest_version_of_the_destination(
    account: Account, console: ConsoleServer, picture: Path
) -> None:
    body = {"kind": "master", "source": str(picture), "inputs": {"model": "trained"}}
    answer = console.post("/api/cloud/jobs/submit", json=body)
    assert answer.status_code == 422
    assert "training_destination" in answer.json()["detail"]
    console.set(training_destination="ada/mine", version_override="0" * 64)
    console.until(console.submit(**body), "queued")
    assert account.runs[-1].body["version"] == VERSION


@pytest.mark.parametrize("place", ["replicate", "here"])
def test_what_has_made_no_model_makes_no_master(console: ConsoleServer, picture: Path, place: str) -> None:
    master = console.submit(kind="master", source=str(picture))
    for name in ("nothing", master):
        body = {"kind": "master", "source": str(picture), "place": place, "trained_by": name}
        answer = console.post("/api/cloud/jobs/submit", json=body)
        assert answer.status_code == 422
        assert f"there is no training {name!r}" in answer.json()["detail"]
    assert console.post(f"/api/cloud/jobs/{master}/model").status_code == 409


def test_a_training_without_a_version_says_where_its_model_can_be_used(
    account: Account, console: ConsoleServer, folder: Path, picture: Path
) -> None:
    job = console.submit(kind="training", source=str(folder), destination="ada/mine")
    body: dict[str, Any] = {"kind": "master", "source": str(picture), "trained_by": job}
    answer = console.post("/api/cloud/jobs/submit", json=body)
    assert answer.status_code == 422
    assert "its model can be used on this machine" in answer.json()["detail"]


def test_a_database_of_an_earlier_version_is_brought_up_to_date(account: Account, tmp_path: Path) -> None:
    with console_server(tmp_path, account.url) as console:
        database = Database(console.data / FILE_NAME)
        for column in ("place", "trained_version"):
            database.run(f"ALTER TABLE jobs DROP COLUMN {column}")
        database.close()
    with console_server(tmp_path, account.url) as console:
        assert console.get("/api/cloud/jobs").json() == {"jobs": [], "total": 0}
