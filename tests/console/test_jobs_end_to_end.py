"""Jobs against a server with Replicate's API: from the submit to the files that are here."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from tests.support.console_server import ConsoleServer, console_server
from tests.support.replicate_account import OUTPUT, VERSION, Account

STEPS = "stage: training\n 40%|████      | 40/100 [00:20<00:30,  2.00it/s]\n"


def _run(account: Account, console: ConsoleServer, job: str) -> dict[str, object]:
    found = console.until(job, "queued", "running", "failed")
    assert found["status"] != "failed", found
    return found


@pytest.mark.slow
def test_a_training_from_a_folder_to_its_weights(
    account: Account, console: ConsoleServer, folder: Path
) -> None:
    job = console.submit(
        kind="training", source=str(folder), destination="ada/mine", inputs={"steps": 100}, max_minutes=10
    )
    _run(account, console, job)
    run = account.runs[0]
    assert run.kind == "trainings"
    assert run.body["destination"] == "ada/mine"
    assert run.body["input"]["steps"] == 100
    upload = account.uploads[run.body["input"]["pictures"].rpartition("/")[2]]
    assert zipfile.ZipFile(io.BytesIO(upload)).namelist() == ["a.png", "b.png", "more/c.png"]
    account.tell(run, "processing", logs=STEPS)
    told = console.until_that(job, lambda found: found["step"] == 40)
    assert (told["status"], told["steps"], told["eta_seconds"], told["stage"]) == (
        "running",
        100,
        30,
        "training",
    )
    account.finish(run, seconds=12.5)
    done = console.until_that(job, lambda found: found["results"] == "here")
    assert done["status"] == "completed"
    assert done["cost"] == 12.5 * done["price"]
    digest = hashlib.sha256(OUTPUT).hexdigest()
    assert done["files"] == [{"name": "weights.tar", "size": len(OUTPUT), "sha256": digest}]
    assert console.get(f"/api/cloud/jobs/{job}/files/weights.tar").content == OUTPUT
    assert list((console.data / "uploads").iterdir()) == []


def test_a_master_is_one_prediction(account: Account, console: ConsoleServer, picture: Path) -> None:
    inputs = {"hdr_boost": 4, "output_format": "exr"}
    job = console.submit(kind="master", source=str(picture), inputs=inputs)
    _run(account, console, job)
    run = account.runs[0]
    assert run.body["version"] == VERSION
    mark = run.body["input"].pop("tile_input")
    assert run.body["input"] == inputs
    assert account.uploads[mark.rpartition("/")[2]] == picture.read_bytes()
    account.finish(run)
    done = console.until_that(job, lambda found: found["results"] == "here")
    assert [file["name"] for file in done["files"]] == ["output.exr"]


@pytest.mark.slow
def test_what_fails_at_replicate_fails_here_and_costs_what_it_computed(
    account: Account, console: ConsoleServer, picture: Path
) -> None:
    job = console.submit(kind="master", source=str(picture))
    _run(account, console, job)
    run = account.runs[0]
    run.error = "E1001: the model ran out of memory"
    account.tell(run, "failed", logs="the end\n", seconds=2.0)
    done = console.until(job, "failed")
    assert done["error"] == "E1001: the model ran out of memory"
    assert done["cost"] == 2.0 * done["price"]
    assert console.get(f"/api/cloud/jobs/{job}/logs").text == "the end\n"


@pytest.mark.slow
def test_weights_of_a_training_that_failed_afterwards_are_fetched(
    account: Account, console: ConsoleServer, folder: Path
) -> None:
    job = console.submit(kind="training", source=str(folder), destination="ada/mine")
    _run(account, console, job)
    run = account.runs[0]
    account.finish(run, error="Failed to create trained image")
    done = console.until_that(job, lambda found: found["results"] == "here")
    assert done["status"] == "failed"
    assert [file["name"] for file in done["files"]] == ["weights.tar"]


@pytest.mark.slow
def test_outputs_of_the_same_name_are_all_kept(
    account: Account, console: ConsoleServer, folder: Path
) -> None:
    job = console.submit(kind="training", source=str(folder), destination="ada/mine")
    _run(account, console, job)
    run = account.runs[0]
    names = ("a b", "a_b", "a/b", "/", "?" * 70, "!" * 70, "weights")
    with account.lock:
        run.output = {name: f"{account.url}/output/{number}.tar" for number, name in enumerate(names)}
        account.tell(run, "succeeded")
    done = console.until_that(job, lambda found: found["results"] == "here")
    assert len({file["name"] for file in done["files"]}) == len(names)


def test_a_key_makes_a_submit_repeatable(account: Account, console: ConsoleServer, picture: Path) -> None:
    body = {"kind": "master", "source": str(picture), "idempotency_key": "mine"}
    first = console.post("/api/cloud/jobs/submit", json=body).json()
    again = console.post("/api/cloud/jobs/submit", json=body).json()
    assert again["job_id"] == first["job_id"]
    assert (first["idempotent_hit"], again["idempotent_hit"]) == (False, True)
    other = console.post("/api/cloud/jobs/submit", json={**body, "inputs": {"scale": 2}})
    assert other.status_code == 409
    _run(account, console, first["job_id"])
    assert len(account.runs) == 1


@pytest.mark.slow
def test_a_wish_to_cancel_does_not_wait_for_the_runs_turn(
    account: Account, tmp_path: Path, picture: Path
) -> None:
    with console_server(tmp_path, account.url, poll_seconds=3600.0) as console:
        job = console.submit(kind="master", source=str(picture))
        console.until(job, "queued")
        console.post(f"/api/cloud/jobs/{job}/cancel")
        console.until(job, "canceled")
    assert account.runs[0].status == "canceled"


def test_what_an_address_is_signed_with_is_no_name(console: ConsoleServer) -> None:
    signed = "https://bucket.example/folder/scan.png?X-Amz-Signature=canary"
    job = console.submit(kind="master", source=signed)
    assert console.job(job)["name"] == "scan.png"


def test_the_list_counts_all_that_the_filters_leave(console: ConsoleServer, picture: Path) -> None:
    jobs = [console.submit(kind="master", source=str(picture), name=f"night {n}") for n in range(5)]
    answer = console.get("/api/cloud/jobs", params={"search": "night", "limit": 2}).json()
    assert answer["total"] == 5
    assert [job["id"] for job in answer["jobs"]] == jobs[:2:-1]
    assert console.get("/api/cloud/jobs", params={"search": "night%"}).json()["total"] == 0
    assert console.get("/api/cloud/jobs", params={"kind": "training"}).json()["total"] == 0
    assert console.get("/api/cloud/jobs", params={"status": "lost"}).status_code == 422


@pytest.mark.slow
def test_cancel_is_one_wish_however_often_it_is_told(
    account: Account, console: ConsoleServer, picture: Path
) -> None:
    job = console.submit(kind="master", source=str(picture))
    _run(account, console, job)
    assert console.delete(f"/api/cloud/jobs/{job}").status_code == 409
    for _ in range(3):
        assert console.post(f"/api/cloud/jobs/{job}/cancel").status_code == 200
    done = console.until(job, "canceled")
    assert done["error"] == "canceled by the user"
    assert account.runs[0].status == "canceled"
    assert console.post(f"/api/cloud/jobs/{job}/cancel").json()["status"] == "canceled"
    assert console.delete(f"/api/cloud/jobs/{job}").status_code == 204
    assert console.get(f"/api/cloud/jobs/{job}").status_code == 404


def test_a_run_that_replicate_does_not_know_counts_as_canceled(
    account: Account, console: ConsoleServer, picture: Path
) -> None:
    job = console.submit(kind="master", source=str(picture))
    _run(account, console, job)
    account.fault = lambda call, _number: "404" if call == "cancel" else None
    console.post(f"/api/cloud/jobs/{job}/cancel")
    assert console.until(job, "canceled")["cost"] == 0.0


def test_what_is_not_there_is_404(console: ConsoleServer) -> None:
    for path in ("x", "x/logs", "x/files/y", f"{'a' * 26}/files/..%2f..%2fsecrets%2freplicate-token"):
        assert console.get(f"/api/cloud/jobs/{path}").status_code == 404


@pytest.mark.slow
def test_a_run_that_is_gone_is_counted_at_its_most(
    account: Account, console: ConsoleServer, picture: Path
) -> None:
    job = console.submit(kind="master", source=str(picture))
    _run(account, console, job)
    account.runs.clear()
    done = console.until(job, "failed")
    assert done["error"] == "Replicate does not know the run any more"
    assert done["cost"] == pytest.approx(done["reserved"])
