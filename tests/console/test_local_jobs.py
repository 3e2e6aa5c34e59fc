"""Jobs on the console's own machine: a process of `luxscaler train`, its states, its end, a restart."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from luxscaler.console.job import Job
from luxscaler.console.local import supervisor
from luxscaler.console.local.runner import LocalRunner
from tests.support.console_server import ConsoleServer, console_process, console_server
from tests.support.training_files import write_base, write_pictures

TINY: dict[str, Any] = {
    "method": "lora",
    "rank": 2,
    "steps": 4,
    "learning_rate": 0.03,
    "batch": 2,
    "crop": 16,
    "degradation": "clean",
    "every": 2,
    "device": "cpu",
}
NOWHERE = "http://127.0.0.1:9"
"""Nothing is asked of Replicate."""


def _wait_until_empty(folder: Path) -> None:
    """A job's folder goes when its end has been told."""
    until = time.monotonic() + 10
    while list(folder.iterdir()) and time.monotonic() < until:
        time.sleep(0.01)
    assert list(folder.iterdir()) == []


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", 6)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_base(tmp_path / "base.safetensors")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that wait for one another are slow on a busy machine."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[ConsoleServer]:
    """A console without a token."""
    with console_server(tmp_path, NOWHERE, environment_token="") as running:
        yield running


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a script of the shell in place of `luxscaler …`; $OUT is the file that it should write."""

    def put(script: str) -> None:
        def arguments(_command: str, _source: Path, target: Path, *options: str) -> list[str]:
            return ["sh", "-c", f"OUT={target}\n{script}", *options]

        monkeypatch.setattr("luxscaler.console.local.commands._luxscaler", arguments)

    return put


def _submit(console: ConsoleServer, pictures: Path, **more: Any) -> str:
    return console.submit(**{"kind": "training", "place": "here", "source": str(pictures), **more})


@pytest.mark.slow
def test_a_training_and_a_picture_upscaled_with_it(alone: ConsoleServer, pictures: Path, base: Path) -> None:
    """Without a token, for nothing; the trained model is one of its results, and is used by its job's id."""
    job = _submit(alone, pictures, inputs={**TINY, "base": str(base)}, max_minutes=5)
    done = alone.until(job, "completed", "failed", seconds=90)
    assert done["status"] == "completed", (done["error"], alone.get(f"/api/cloud/jobs/{job}/logs").text)
    assert (done["cost"], done["hardware"], done["place"]) == (0.0, "this machine", "here")
    assert (done["step"], done["steps"], done["stage"]) == (4, 4, "")
    assert {file["name"] for file in done["files"]} == {
        "model.safetensors",
        "adapter.safetensors",
        "report.html",
        "README.md",
    }
    assert "PSNR" in alone.get(f"/api/cloud/jobs/{job}/logs").text
    listed = alone.get("/api/cloud/models").json()["models"]
    assert [model["job_id"] for model in listed] == [job]
    assert listed[0]["command"].endswith(f"--model {listed[0]['path']}")
    upscaled = alone.submit(
        kind="master",
        place="here",
        source=str(pictures / "p0.png"),
        trained_by=job,
        inputs={"output_format": "png"},
    )
    found = alone.until(upscaled, "completed", "failed", seconds=60)
    assert found["status"] == "completed", found["error"]
    picture = alone.get(f"/api/cloud/jobs/{upscaled}/files/output.png").content
    assert picture[16:24] == (320).to_bytes(4, "big") * 2
    _wait_until_empty(alone.data / "local")


@pytest.mark.slow
def test_one_at_a_time_and_in_order(
    alone: ConsoleServer, pictures: Path, command: Callable[[str], None], tmp_path: Path
) -> None:
    command(f"echo begun; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done; echo x > $OUT")
    first, second = (_submit(alone, pictures) for _ in range(2))
    alone.until(first, "running")
    alone.until(second, "queued")
    alone.until_that(first, lambda _: alone.get(f"/api/cloud/jobs/{first}/logs").text == "begun\n")
    assert alone.job(second)["status"] == "queued"
    (tmp_path / "go").touch()
    assert alone.until(second, "completed")["files"][0]["name"] == "model.safetensors"
    assert alone.job(first)["status"] == "completed"


def test_the_earlier_one_is_begun_first_whoever_is_looked_at_first(
    alone: ConsoleServer, pictures: Path, command: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each job is looked at by a thread of its own: here the first one's comes late."""
    command("exec sleep 600")
    looked, begin = threading.Event(), LocalRunner._begin

    def late(runner: LocalRunner, job: Job) -> None:
        if job.sequence == 1:
            looked.wait(20)
        begin(runner, job)
        looked.set()

    monkeypatch.setattr(LocalRunner, "_begin", late)
    first, second = (_submit(alone, pictures) for _ in range(2))
    alone.until(second, "queued", "running")
    assert alone.until(first, "queued", "running")["status"] == "running"
    assert alone.job(second)["status"] == "queued"


@pytest.mark.slow
@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'error: the base is gone' >&2; exit 1", "the base is gone"),
        ("echo what; exit 7", "its process ended with status 7: what"),
        ("kill -9 $$", "its process was ended by signal 9: out of memory?"),
    ],
)
def test_what_fails_says_why_and_is_not_begun_again(
    alone: ConsoleServer, pictures: Path, command: Callable[[str], None], script: str, reason: str
) -> None:
    command(script)
    done = alone.until(_submit(alone, pictures), "failed")
    assert done["error"] == reason
    assert done["cost"] == 0.0
    _wait_until_empty(alone.data / "local")


@pytest.mark.slow
@pytest.mark.parametrize("script", ["exec sleep 600", "sleep 600 & sleep 600"])
def test_cancel_ends_the_process_and_all_that_it_began(
    alone: ConsoleServer, pictures: Path, command: Callable[[str], None], script: str
) -> None:
    command(f"echo begun; {script}")
    job = _submit(alone, pictures)
    alone.until_that(job, lambda _: alone.get(f"/api/cloud/jobs/{job}/logs").text != "")
    _wait_for(alone.data / "local" / job / supervisor.GROUP)  # written just after the command has begun
    group = int((alone.data / "local" / job / supervisor.GROUP).read_text())
    alone.post(f"/api/cloud/jobs/{job}/cancel")
    assert alone.until(job, "canceled")["error"] == "canceled by the user"
    _until(lambda: not _living(group))  # what is killed ends a moment later


def test_a_waiting_job_is_canceled_at_once(
    alone: ConsoleServer, pictures: Path, command: Callable[[str], None]
) -> None:
    command("exec sleep 600")
    first, second = (_submit(alone, pictures) for _ in range(2))
    alone.until(second, "queued")
    alone.post(f"/api/cloud/jobs/{second}/cancel")
    alone.until(second, "canceled")
    alone.until(first, "running")  # its own thread may come later


@pytest.mark.slow
def test_its_deadline_ends_it(
    tmp_path: Path, pictures: Path, command: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that hears nothing is killed after the grace."""
    command("trap '' TERM; echo begun; while true; do sleep 0.05; done")
    monkeypatch.setattr("luxscaler.console.local.runner._KILL_SECONDS", 0.3)
    with console_server(tmp_path, NOWHERE, environment_token="", overtime_seconds=-59.0) as console:
        job = _submit(console, pictures, max_minutes=1)
        done = console.until(job, "canceled")
    assert done["error"] == "its deadline has passed"


@pytest.mark.slow
def test_a_console_that_ends_asks_its_job_to_and_the_next_goes_on(
    tmp_path: Path, pictures: Path, command: Callable[[str], None]
) -> None:
    command(
        "if [ -e $OUT.begun ]; then echo again; echo x > $OUT; exit; fi\n"
        "trap 'echo saved; exit 3' TERM; touch $OUT.begun; while true; do sleep 0.02; done"
    )
    with console_server(tmp_path, NOWHERE, environment_token="") as console:
        job = _submit(console, pictures)
        _wait_for(console.data / "local" / job / "model.safetensors.begun")
    told = json.loads((console.data / "local" / job / supervisor.EXIT).read_text())
    assert told == {"status": 3, "asked": True}
    with console_server(tmp_path, NOWHERE, environment_token="") as console:
        console.until(job, "completed")
        assert console.get(f"/api/cloud/jobs/{job}/logs").text == "saved\nagain\n"


@pytest.mark.slow
def test_what_ends_whenever_it_is_begun_is_given_up(
    tmp_path: Path, pictures: Path, command: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("luxscaler.console.local.runner._MOST_STARTS", 1)
    command("exec sleep 600")
    with console_server(tmp_path, NOWHERE, environment_token="") as console:
        job = _submit(console, pictures)
        _wait_for(console.data / "local" / job / supervisor.GROUP)
    with console_server(tmp_path, NOWHERE, environment_token="") as console:
        assert "it was begun 1 times" in console.until(job, "failed")["error"]


@pytest.mark.slow
@pytest.mark.long
def test_a_training_goes_on_after_its_console_was_killed(tmp_path: Path, pictures: Path, base: Path) -> None:
    with console_process(tmp_path, NOWHERE) as console:
        inputs = {**TINY, "base": str(base), "steps": 40}
        job = _submit(console, pictures, inputs=inputs, max_minutes=5)
        console.until_that(job, lambda found: (found["step"] or 0) >= 4, seconds=60)
        assert console.process is not None
        os.kill(console.process.pid, signal.SIGKILL)
        console.process.wait()
    _wait_for(console.data / "local" / job / supervisor.EXIT)
    told = json.loads((console.data / "local" / job / supervisor.EXIT).read_text())
    assert told["asked"]
    assert told["status"] != 0
    with console_server(tmp_path, NOWHERE, environment_token="") as again:
        done = again.until(job, "completed", "failed", seconds=60)
        log = again.get(f"/api/cloud/jobs/{job}/logs").text
    assert done["status"] == "completed", done["error"]
    assert "stopping after this step" in log
    assert (done["step"], done["steps"]) == (40, 40)


def _living(group: int) -> list[str]:
    """Processes of a group, but for those that nobody has buried yet."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group = path.read_text().rpartition(") ")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found.append(path.parent.name)
    return found


def _wait_for(path: Path) -> None:
    _until(path.exists)


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"inputs": {"stepz": 1}}, "unknown 'stepz'"),
        ({"inputs": {"steps": "many"}}, "steps must be a whole number"),
        ({"inputs": {"steps": True}}, "steps must be a whole number"),
        ({"inputs": {"base": "/etc/passwd"}}, "is not inside"),
        ({"inputs": {"base": "../base.safetensors"}}, "is not inside"),
        ({"inputs": {"method": "--resume"}}, "method cannot be"),
        ({"source": "https://host.example/a.zip"}, "must be a path"),
        ({"trained_by": "a" * 26}, "is for masters"),
        ({"kind": "master", "inputs": {"device": "cpu"}}, "a master is made from one picture"),
    ],
)
def test_wrong_requests(alone: ConsoleServer, pictures: Path, body: dict[str, Any], reason: str) -> None:
    answer = alone.post(
        "/api/cloud/jobs/submit", json={"kind": "training", "place": "here", "source": str(pictures), **body}
    )
    assert answer.status_code == 422
    assert reason in answer.json()["detail"]


@pytest.mark.slow
def test_no_secret_is_in_its_environment(
    tmp_path: Path, pictures: Path, command: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REPLICATE_API_TOKEN", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "LUXSCALER_CONSOLE_PASSWORD"):
        monkeypatch.setenv(name, "canary-0123")
    command("env; tr '\\0' '\\n' < /proc/$PPID/environ; echo x > $OUT")
    with console_server(tmp_path, NOWHERE) as console:
        console.set(proxy_url="http://proxy.example:3128")
        job = _submit(console, pictures)
        console.until(job, "completed")
        log = console.get(f"/api/cloud/jobs/{job}/logs").text
    assert "HTTPS_PROXY=http://proxy.example:3128" in log
    assert "canary-0123" not in log


@pytest.mark.slow
def test_it_counts_nothing_against_the_limit(
    alone: ConsoleServer, pictures: Path, command: Callable[[str], None]
) -> None:
    command("echo x > $OUT")
    alone.set(cost_limit_enabled=True, cost_limit_amount=0)
    body = {"kind": "training", "place": "here", "source": str(pictures)}
    estimate = alone.post("/api/cloud/estimate", json=body).json()
    assert (estimate["at_most_usd"], estimate["hardware"], estimate["data_size_mb"]) == (0, "this machine", 0)
    alone.until(_submit(alone, pictures), "completed")
    assert alone.get("/api/cloud/cost-limit").json()["current_spend"] == 0
