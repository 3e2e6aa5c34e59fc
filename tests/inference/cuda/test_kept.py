"""What is kept about a card: found again whole, under all that it depends on, or not at all."""

import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from luxscaler.inference.cuda import kept, trial

CUDA = torch.device("cuda:0")


@pytest.fixture(autouse=True)
def of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    monkeypatch.setenv(kept.FOLDER_VARIABLE, str(tmp_path / "cache"))
    trial.trial_error.cache_clear()
    yield tmp_path / "cache"
    trial.trial_error.cache_clear()


def a_card(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str = "H100", driver: str = "580.1"
) -> None:
    """As if PyTorch saw one."""
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: name)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    (tmp_path / "version").write_text(driver)
    monkeypatch.setattr(kept, "_DRIVER", tmp_path / "version")


def trials(monkeypatch: pytest.MonkeyPatch, says: str = "passed\n") -> list[list[str]]:
    """Counts the processes that are started."""
    runs: list[list[str]] = []

    def run(command: list[str], **_: object) -> "subprocess.CompletedProcess[str]":
        runs.append(command)
        return subprocess.CompletedProcess(command, 0, says, "")

    monkeypatch.setattr(subprocess, "run", run)
    return runs


def started_anew() -> str | None:
    """What the next process finds."""
    trial.trial_error.cache_clear()
    return trial.trial_error(CUDA, 1)


def test_a_trial_that_passed_is_not_run_by_the_next_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    a_card(monkeypatch, tmp_path)
    runs = trials(monkeypatch)
    assert [started_anew() for _ in range(3)] == [None, None, None]
    assert len(runs) == 1


def test_float32_is_tried_apart_from_float16(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    a_card(monkeypatch, tmp_path)
    runs = trials(monkeypatch)
    assert started_anew() is None
    assert [trial.trial_error(CUDA, 2) for _ in range(2)] == [None, None]
    assert [command[-2:] for command in runs] == [["cuda:0", "1"], ["cuda:0", "2"]]


def test_a_trial_that_failed_is_run_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    a_card(monkeypatch, tmp_path)
    runs = trials(monkeypatch, "out of memory\n")
    assert "out of memory" in (started_anew() or "")
    assert "out of memory" in (started_anew() or "")
    assert len(runs) == 2


def test_another_card_driver_pytorch_or_kernel_is_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    a_card(monkeypatch, tmp_path)
    runs = trials(monkeypatch)
    changes: list[Callable[[], None]] = [
        lambda: None,
        lambda: a_card(monkeypatch, tmp_path, name="L40S"),
        lambda: a_card(monkeypatch, tmp_path, driver="581.0"),
        lambda: monkeypatch.setattr(torch, "__version__", "9.9"),
        lambda: monkeypatch.setattr(kept, "package_digest", lambda: "another"),
    ]
    for count, change in enumerate(changes, start=1):
        change()
        assert started_anew() is None
        assert started_anew() is None
        assert len(runs) == count


def test_nothing_is_kept_where_the_driver_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    a_card(monkeypatch, tmp_path)
    monkeypatch.setattr(kept, "_DRIVER", tmp_path / "none")
    runs = trials(monkeypatch)
    assert (started_anew(), started_anew(), len(runs)) == (None, None, 2)


def test_what_is_damaged_or_short_is_made_anew(of_its_own: Path) -> None:
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        return b"machine code"

    assert [kept.remembered("kernels", make) for _ in range(2)] == [b"machine code"] * 2
    assert len(made) == 1
    file = of_its_own / "kernels"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    whole = file.read_bytes()
    for damaged in (whole[:-1], whole[:10], b"", whole[:-1] + b"!"):
        file.write_bytes(damaged)
        assert kept.remembered("kernels", make) == b"machine code"
    assert len(made) == 5
    assert [path.name for path in of_its_own.iterdir()] == ["kernels"]


def test_a_folder_that_cannot_be_written_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(kept.FOLDER_VARIABLE, str(tmp_path / "file" / "cache"))
    assert kept.remembered("kernels", lambda: b"made") == b"made"
    assert kept.recall("kernels") is None


def test_the_digest_follows_every_file_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("a.cuh", "b.py"):
        (tmp_path / name).write_text("1")
    (tmp_path / "c.pyc").write_text("1")
    monkeypatch.setattr(kept, "FOLDER", tmp_path)
    found = {kept.package_digest()}
    for name in ("a.cuh", "b.py"):
        (tmp_path / name).write_text("2")
        found.add(kept.package_digest())
    (tmp_path / "c.pyc").write_text("2")
    found.add(kept.package_digest())
    assert len(found) == 3
