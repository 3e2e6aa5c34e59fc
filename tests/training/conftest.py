"""Pictures and a tiny base for the trainer's tests."""

from pathlib import Path

import pytest

from tests.support.training_files import write_base, write_pictures


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", 6)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_base(tmp_path / "base.safetensors")
