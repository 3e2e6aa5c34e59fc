"""Results are delivered to the Hub and to S3: checked before anything is paid, tried again, never lost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.console_server import ConsoleServer, console_server
from tests.support.fake_hub import FakeHub, fake_hub
from tests.support.replicate_account import Account
from tests.support.trained_bundle import bundle

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAcanaryCANARY", "AWS_SECRET_ACCESS_KEY": "secretCanarySecretCanary"}


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with fake_hub() as made:
        yield made


@pytest.fixture
def delivering(account: Account, hub: FakeHub, tmp_path: Path) -> Iterator[ConsoleServer]:
    environment = {"HF_TOKEN": "hf_good", "HF_ENDPOINT": hub.url, **KEYS}
    with console_server(tmp_path, account.url, delivery_environment=environment) as running:
        yield running


def _finished(account: Account, console: ConsoleServer, folder: Path, tmp_path: Path) -> str:
    account.output = bundle(tmp_path)
    job = console.submit(kind="training", source=str(folder), destination="ada/mine", name="Night & sky")
    console.until(job, "queued")
    account.finish(account.runs[-1])
    return job


def _delivered(console: ConsoleServer, job: str, state: str) -> dict[str, Any]:
    found = console.until_that(job, lambda found: [each["state"] for each in found["deliveries"]] == [state])
    return dict(found["deliveries"][0])


@pytest.mark.slow
def test_a_trained_model_goes_to_the_hub(
    account: Account, delivering: ConsoleServer, hub: FakeHub, folder: Path, tmp_path: Path
) -> None:
    delivering.set(deliver_hub="alice/nights")
    job = _finished(account, delivering, folder, tmp_path)
    told = _delivered(delivering, job, "done")
    assert told == {
        "target": "hub",
        "place": "alice/nights",
        "state": "done",
        "url": f"{hub.url}/alice/nights",
        "error": "",
    }
    repo = hub.repos["alice/nights"]
    assert repo.private
    assert repo.files["model.safetensors"] == (tmp_path / "bundled.safetensors").read_bytes()
    assert b"27.13" in repo.files["README.md"]


@pytest.mark.slow
def test_a_token_that_may_not_write_is_found_out_before_anything_is_paid(
    account: Account, delivering: ConsoleServer, hub: FakeHub, folder: Path
) -> None:
    hub.readers.add("hf_good")
    delivering.set(deliver_hub="alice/nights")
    job = delivering.submit(kind="training", source=str(folder), destination="ada/mine")
    done = delivering.until(job, "failed")
    assert "delivery: the token in HF_TOKEN, of alice, may not write" in done["error"]
    assert done["cost"] == 0.0
    assert account.calls["upload"] + account.calls["create"] == 0
    answer = delivering.post("/api/cloud/providers/replicate/delivery/test")
    assert answer.status_code == 502
    assert "may not write" in answer.json()["detail"]


@pytest.mark.slow
def test_what_fails_is_kept_here_and_sent_when_it_is_asked_for(
    account: Account, delivering: ConsoleServer, hub: FakeHub, folder: Path, tmp_path: Path
) -> None:
    job = _finished(account, delivering, folder, tmp_path)
    delivering.until_that(job, lambda found: found["results"] == "here")
    assert delivering.post(f"/api/cloud/jobs/{job}/deliver").status_code == 409
    delivering.set(deliver_hub="alice/nights")
    hub.refuse["POST /commit"] = 500
    assert delivering.post(f"/api/cloud/jobs/{job}/deliver").status_code == 200
    found = delivering.until_that(job, lambda found: found["deliveries"][0]["error"] != "", seconds=60)
    assert found["deliveries"][0]["state"] == "waiting"
    assert found["results"] == "here"
    hub.refuse.clear()
    delivering.post(f"/api/cloud/jobs/{job}/deliver")
    _delivered(delivering, job, "done")
    assert len(hub.repos["alice/nights"].commits) == 1


def test_masters_do_not_go_to_the_hub(
    account: Account, delivering: ConsoleServer, hub: FakeHub, picture: Path
) -> None:
    delivering.set(deliver_hub="alice/nights")
    job = delivering.submit(kind="master", source=str(picture))
    delivering.until(job, "queued")
    account.finish(account.runs[0])
    assert delivering.until_that(job, lambda found: found["results"] == "here")["deliveries"] == []
    assert hub.repos == {}


@pytest.mark.slow
def test_all_results_go_to_s3(
    account: Account, delivering: ConsoleServer, folder: Path, tmp_path: Path
) -> None:
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
        storage = boto3.client("s3", endpoint_url=address, **keys)
        storage.create_bucket(Bucket="results")
        delivering.set(deliver_s3="s3://results/lux", deliver_s3_endpoint=address)
        assert delivering.post("/api/cloud/providers/replicate/delivery/test").json() == {
            "writable": {"s3": "s3://results/lux"}
        }
        job = _finished(account, delivering, folder, tmp_path)
        _delivered(delivering, job, "done")
        listed = {each["Key"] for each in storage.list_objects_v2(Bucket="results")["Contents"]}
    finally:
        server.stop()
    root = f"lux/Night-sky-{job[:8]}"
    assert listed == {f"{root}/model.safetensors", f"{root}/README.md", f"{root}/samples/0000006.png"}


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("deliver_hub", "a b"),
        ("deliver_hub", "../x"),
        ("deliver_s3", "https://host.example/bucket"),
        ("deliver_s3", "s3://B"),
        ("deliver_s3", "s3://bucket/../x"),
        ("deliver_s3_endpoint", "ftp://host.example"),
        ("deliver_hub_public", "yes"),
    ],
)
def test_wrong_places_are_refused_by_name(console: ConsoleServer, setting: str, value: Any) -> None:
    answer = console.put("/api/cloud/providers/replicate", {setting: value})
    assert answer.status_code == 400
    assert answer.json()["field"] == setting


def test_without_a_token_the_settings_say_what_is_missing(
    console: ConsoleServer,
) -> None:
    console.set(deliver_hub="alice/nights")
    answer = console.post("/api/cloud/providers/replicate/delivery/test")
    assert answer.status_code == 422
    assert "HF_TOKEN not set" in answer.json()["detail"]
