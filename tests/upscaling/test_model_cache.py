"""Networks by name: loaded on first use, once, and no path opened unless that is allowed."""

import threading
from pathlib import Path

import pytest
import torch

from luxscaler.errors import InputError, WeightsError
from luxscaler.networks.rrdb import RRDBNet
from luxscaler.options import UpscalerOptions
from luxscaler.upscaling import model_cache as models_module
from luxscaler.upscaling.model_cache import Models
from luxscaler.weights.store import LoadedNetwork
from tests.support.small_weights import make_small_weights

OPTIONS = UpscalerOptions(device="cpu")


class Loader:
    """Stands for load_network: gives the tiny network and remembers what was asked of it."""

    def __init__(self, network: RRDBNet) -> None:
        self.network = network
        self.asked: list[tuple[str, Path | None]] = []

    def __call__(self, name: str, folder: Path | None = None) -> LoadedNetwork:
        self.asked.append((name, folder))
        return LoadedNetwork(self.network, self.network.config, name, "release", "")


@pytest.fixture
def loader(tiny_network: RRDBNet, monkeypatch: pytest.MonkeyPatch) -> Loader:
    fake = Loader(tiny_network)
    monkeypatch.setattr(models_module, "load_network", fake)
    return fake


def test_nothing_is_loaded_before_it_is_asked_for(loader: Loader, tmp_path: Path) -> None:
    models = Models(OPTIONS, tmp_path)
    assert loader.asked == []
    models("fast")
    assert loader.asked == [("fast", tmp_path)]


def test_a_model_is_loaded_once(loader: Loader, tmp_path: Path) -> None:
    models = Models(OPTIONS, tmp_path)
    assert models("photo") is models("photo")
    assert models("photo") is not models("fast")
    assert [name for name, _ in loader.asked] == ["photo", "fast"]


def test_threads_that_ask_at_once_get_the_same_upscaler(loader: Loader, tmp_path: Path) -> None:
    models = Models(OPTIONS, tmp_path)
    got: list[object] = []
    threads = [threading.Thread(target=lambda: got.append(models("photo"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert len(set(map(id, got))) == len(loader.asked) == 1


def test_the_folder_defaults_to_that_of_the_environment(
    loader: Loader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LUXSCALER_WEIGHTS", str(tmp_path))
    Models(OPTIONS)("photo")
    assert loader.asked == [("photo", tmp_path)]


@pytest.mark.parametrize("name", ["", "Photo", "nope", "../weights/photo", "/etc/passwd", __file__])
def test_other_names_and_paths_are_refused_unopened(loader: Loader, name: str) -> None:
    with pytest.raises(InputError, match="it must be one of photo, anime, fast"):
        Models(OPTIONS)(name)
    assert loader.asked == []


def test_a_checkpoint_by_path_where_that_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "tiny.pth"
    path.write_bytes(make_small_weights(tmp_path).release)
    models = Models(OPTIONS, tmp_path, own_checkpoints=True)
    upscaler = models(str(path))
    assert upscaler is models(str(path))
    assert upscaler.upscale(torch.rand(3, 5, 3), 4).shape == (12, 20, 3)


def test_a_path_that_is_not_there_is_an_error_where_paths_are_allowed(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights called 'nope', and no such file"):
        Models(OPTIONS, tmp_path, own_checkpoints=True)("nope")


def test_absent_weights_are_an_error_that_names_the_command_and_can_be_mended(
    tmp_path: Path, tiny_network: RRDBNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = Models(OPTIONS, tmp_path)
    with pytest.raises(WeightsError, match="luxscaler weights fetch fast"):
        models("fast")
    monkeypatch.setattr(models_module, "load_network", Loader(tiny_network))
    assert models("fast").native_scale == 4
