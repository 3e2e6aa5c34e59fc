"""Pictures, a tiny base and tiny onlookers for the trainer's tests."""

from pathlib import Path

import pytest

from luxscaler.weights.installed import FOLDER_VARIABLE
from tests.support.training_files import SRVGG, use_tiny_onlookers, write_base, write_pictures


@pytest.fixture(autouse=True)
def _no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whether a judge has been fetched on this machine changes no test."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path_factory.mktemp("weights")))


@pytest.fixture(autouse=True)
def _decoded_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process for each picture and each training is more than the trainings themselves take."""
    monkeypatch.setattr("luxscaler.isolation.pool.IS_AVAILABLE", False)


@pytest.fixture
def onlookers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny feature network, a judge and an adversary, from seeds."""
    use_tiny_onlookers(monkeypatch.setattr)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", 6)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A fifth of the layers of `rrdb`, for what is the same for every network."""
    return write_base(tmp_path / "base.safetensors", SRVGG)


@pytest.fixture
def rrdb(tmp_path: Path) -> Path:
    return write_base(tmp_path / "rrdb.safetensors")
