"""`luxscaler jobs` and `luxscaler server` at a terminal: the same store as the console's page."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from luxscaler.cli.main import app
from luxscaler.clock import Clock
from luxscaler.console.database import FILE_NAME, Database
from luxscaler.console.job import Job, JobState
from luxscaler.console.jobs import Jobs
from luxscaler.replicate.signing import new_id

RUN = CliRunner()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two jobs that a console has left: one under way, one over."""
    database = Database(tmp_path / FILE_NAME)
    jobs = Jobs(database, Clock())
    for name, state in (("night.png", JobState.RUNNING), ("day.png", JobState.FAILED)):
        jobs.add(
            Job(
                id=new_id(),
                kind="master",
                name=name,
                source=f"/pictures/{name}",
                call={"input": {}},
                fingerprint="",
                nonce=new_id(),
                hardware="gpu-l40s",
                price=0.001,
                max_seconds=600.0,
                created_at=1e9,
                deadline=2e9,
                state=state,
                logs="begun\nloss 0.5\n",
                error="E1001" if state is JobState.FAILED else "",
                cost=0.25 if state is JobState.FAILED else None,
            )
        )
    database.close()
    return tmp_path


def _run(data: Path, *words: str) -> str:
    done = RUN.invoke(app, ["jobs", *words, "--data", str(data)], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.output


def _id(data: Path, state: str) -> str:
    line = next(line for line in _run(data, "list", "--status", state).splitlines() if state in line)
    return line.split()[1]


def test_list_show_logs(data: Path) -> None:
    assert "night.png" in _run(data, "list")
    assert "night.png" not in _run(data, "list", "--search", "day")
    assert "1 of 2" in _run(data, "list", "--limit", "1")
    name = _id(data, "failed")
    shown = _run(data, "show", name[:8])
    assert "E1001" in shown
    assert "$0.2500" in shown
    assert _run(data, "logs", name, "--search", "LOSS") == "loss 0.5\n"


def test_cancel_sets_the_flag_once(data: Path) -> None:
    name = _id(data, "running")
    assert "will be canceled" in _run(data, "cancel", name)
    assert "canceled by the user" in _run(data, "show", name)
    assert "is failed already" in _run(data, "cancel", _id(data, "failed"))


def test_no_console_and_no_such_job(data: Path, tmp_path: Path) -> None:
    done = RUN.invoke(app, ["jobs", "list", "--data", str(tmp_path / "none")])
    assert done.exit_code == 1
    assert not (tmp_path / "none").exists()
    assert RUN.invoke(app, ["jobs", "show", "zzz", "--data", str(data)]).exit_code == 1
    assert RUN.invoke(app, ["jobs", "show", "", "--data", str(data)]).exit_code == 1


@pytest.mark.slow
def test_a_server_for_others_needs_a_password(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "luxscaler.cli.main",
        "server",
        "--host",
        "0.0.0.0",
        "--data",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "--password-file" in done.stderr
