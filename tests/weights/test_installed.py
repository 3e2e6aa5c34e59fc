"""The weights folder: where it is, and the state of what lies in it."""

from hashlib import sha256
from pathlib import Path

import pytest

from luxscaler.errors import WeightsError
from luxscaler.weights import installed
from luxscaler.weights.installed import list_weights, verify, weights_folder
from tests.conftest import ROOT
from tests.support.small_weights import SmallWeights, make_small_weights


@pytest.fixture
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallWeights:
    return make_small_weights(tmp_path_factory.mktemp("small"))


def test_the_folder_comes_from_the_environment(tmp_path: Path) -> None:
    assert weights_folder({"LUXSCALER_WEIGHTS": str(tmp_path), "XDG_CACHE_HOME": "/other"}) == tmp_path
    assert weights_folder({}) == ROOT / "weights"


def test_without_a_checkout_the_folder_is_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installed, "CHECKOUT", tmp_path / "absent")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights_folder({}) == tmp_path / "luxscaler" / "weights"


def test_list_and_verify(small: SmallWeights, tmp_path: Path) -> None:
    assert [status.state for status in list_weights(tmp_path, [small.entry])] == ["absent"]
    with pytest.raises(WeightsError, match="weights 'tiny' are not in"):
        verify(["tiny"], tmp_path, [small.entry])
    (tmp_path / "tiny.pth").write_bytes(small.release)
    (status,) = verify(["tiny"], tmp_path, [small.entry])
    assert (status.state, status.path, status.size) == ("verified", tmp_path / "tiny.pth", len(small.release))
    assert status.source is small.entry.sources[0]
    assert status.digest == sha256(small.release).hexdigest()
    with pytest.raises(WeightsError, match="no weights called 'x'; known names: tiny"):
        verify(["x"], tmp_path, [small.entry])
    assert verify([], tmp_path, [small.entry]) == []
