"""The trial in a process of its own: its failures are one line, and do not reach this process."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from luxscaler.inference.cuda import trial

CUDA = torch.device("cuda:0")


@pytest.fixture(autouse=True)
def not_tried_yet() -> Iterator[None]:
    trial.trial_error.cache_clear()
    yield
    trial.trial_error.cache_clear()


def python_that(monkeypatch: pytest.MonkeyPatch, folder: Path, does: str) -> None:
    """In place of the Python that the trial is started with."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_without_a_card_the_real_trial_says_so() -> None:
    assert (trial.trial_error(CUDA, 1) or "").startswith("their trial ended with 1: ")


@pytest.mark.parametrize(
    ("does", "expected"),
    [
        ("echo passed", None),
        ("kill -11 $$", "their trial ended with -11: no message"),
        ("echo 'CUDA error: an illegal memory access' >&2; exit 1", "ended with 1: CUDA error: an illegal"),
        ("echo fine", "their trial ended with 0: fine"),
    ],
)
def test_how_it_ends(
    does: str, expected: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python_that(monkeypatch, tmp_path, does)
    found = trial.trial_error(CUDA, 1)
    assert found is None if expected is None else expected in (found or "")


def test_a_trial_that_hangs_or_cannot_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python_that(monkeypatch, tmp_path, "exec sleep 30")
    monkeypatch.setattr(trial, "SECONDS", 0.2)
    assert trial.trial_error(CUDA, 1) == "their trial did not end within 0 s"
    trial.trial_error.cache_clear()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    assert "could not be started" in (trial.trial_error(CUDA, 1) or "")


def test_it_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[list[str]] = []

    def run(command: list[str], **_: object) -> "subprocess.CompletedProcess[str]":
        runs.append(command)
        return subprocess.CompletedProcess(command, 0, "passed\n", "")

    monkeypatch.setattr(subprocess, "run", run)
    assert trial.trial_error(CUDA, 1) is None
    assert trial.trial_error(CUDA, 1) is None
    ((_, _, code, device, parts),) = runs
    assert (device, parts) == ("cuda:0", "1")
    assert "luxscaler.inference.cuda.trial" in code
