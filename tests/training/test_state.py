"""States on disk: whole or not at all, the latest counts, damage is named."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from luxscaler.errors import TrainingError
from luxscaler.training.folder import locked, remove_leftovers, write_synced
from luxscaler.training.learner import Means
from luxscaler.training.loss_scale import LossScale
from luxscaler.training.state import INTERRUPTED, STATE, Position, State, load, load_latest, save


def _state(step: int) -> State:
    history = ({"step": 2, "mean": {"psnr": 20.5}},)
    position = Position(step, step, 1, True, Means("bf16", True, 2), 32, 2, history, LossScale(8.0, 3))
    return State(position, {"now/a": torch.tensor([[1.5, step]])}, {"a": torch.tensor([2.5])})


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    save(tmp_path, _state(4))
    found = load(tmp_path / STATE)
    assert found.position == _state(4).position
    assert torch.equal(found.tensors["now/a"], torch.tensor([[1.5, 4.0]]))
    assert torch.equal(found.best["a"], torch.tensor([2.5]))
    assert found.tensors.keys() == {"now/a"}


def test_the_latest_state_counts_and_a_regular_one_replaces_an_interrupted(tmp_path: Path) -> None:
    assert load_latest(tmp_path) is None
    save(tmp_path, _state(4))
    save(tmp_path, _state(6), INTERRUPTED)
    latest = load_latest(tmp_path)
    assert latest is not None
    assert latest.position.step == 6
    assert load(tmp_path / STATE).position.step == 4
    save(tmp_path, _state(8))
    assert not (tmp_path / INTERRUPTED).exists()


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_damaged_state_is_one_line(tmp_path: Path, keep: int) -> None:
    save(tmp_path, _state(4))
    data = (tmp_path / STATE).read_bytes()
    (tmp_path / STATE).write_bytes(data[:keep])
    with pytest.raises(TrainingError, match="is damaged; remove"):
        load_latest(tmp_path)


def test_a_full_disk_leaves_the_last_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, _state(4))

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match=r"state\.safetensors: No space left on device; make room"):
        save(tmp_path, _state(8))
    monkeypatch.undo()
    assert load(tmp_path / STATE).position.step == 4
    assert [path.name for path in tmp_path.iterdir()] == [STATE]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    for name in (".ab.partial", "samples/.cd.partial", "kept.partial"):
        (tmp_path / name).write_bytes(b"half")
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.rglob("*")} == {"samples", "kept.partial"}


def test_two_trainings_of_one_target_are_kept_apart(tmp_path: Path) -> None:
    with locked(tmp_path / "a"), pytest.raises(TrainingError, match="in use"), locked(tmp_path / "a"):
        raise AssertionError
    with locked(tmp_path / "a"):
        write_synced(tmp_path / "a" / "x", b"1")
    assert (tmp_path / "a" / "x").read_bytes() == b"1"


def test_validations_since_the_best() -> None:
    entries = tuple({"step": step} for step in (3, 6, 9))
    assert Position(history=entries).since_best == 3
    assert replace(Position(history=entries), best_step=6).since_best == 1
