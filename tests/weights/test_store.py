"""Loading by name: only pinned files, nothing downloaded, own checkpoints by path."""

import io
import re
import socket
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from luxscaler.errors import WeightsError
from luxscaler.networks.build import build_network
from luxscaler.networks.rrdb import RRDBNet, RRDBNetConfig
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.weights import store
from luxscaler.weights.catalogue import load_catalogue
from luxscaler.weights.installed import list_weights, verify
from luxscaler.weights.store import load_network
from tests.support.small_weights import CONFIG, SmallWeights, make_small_weights


@pytest.fixture
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallWeights:
    return make_small_weights(tmp_path_factory.mktemp("small"))


def test_absent_weights_name_the_command_and_nothing_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(WeightsError, match=r"not in .*; get them with `luxscaler weights fetch photo`"):
        load_network("photo", tmp_path)


@pytest.mark.parametrize("name", ["phot", "/nowhere/photo.pth", Path("photo")])
def test_an_unknown_name_lists_the_known_ones(name: str | Path, tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=f"{str(name)!r}, and no such file; known names: photo, anime, fast"
    ):
        load_network(name, tmp_path)


@pytest.mark.parametrize("kind", ["release", "wheel"])
def test_catalogue_weights_load(small: SmallWeights, tmp_path: Path, kind: str) -> None:
    data = small.release if kind == "release" else small.converted
    (tmp_path / ("tiny.pth" if kind == "release" else "tiny.safetensors")).write_bytes(data)
    loaded = load_network("tiny", tmp_path, [small.entry])
    assert (loaded.name, loaded.source, loaded.scale, loaded.config) == ("tiny", kind, 4, CONFIG)
    assert loaded.digest == sha256(data).hexdigest()
    assert isinstance(loaded.module, RRDBNet)
    assert not loaded.module.training
    assert not any(parameter.requires_grad for parameter in loaded.module.parameters())
    assert loaded.module(torch.zeros(1, 3, 2, 2)).shape == (1, 3, 8, 8)


def test_both_sources_hold_the_same_network(small: SmallWeights, tmp_path: Path) -> None:
    (tmp_path / "tiny.safetensors").write_bytes(small.converted)
    converted = load_network("tiny", tmp_path, [small.entry])
    (tmp_path / "tiny.pth").write_bytes(small.release)
    release = load_network("tiny", tmp_path, [small.entry])
    assert (converted.source, release.source) == ("wheel", "release")
    for name, value in release.module.state_dict().items():
        assert torch.equal(value, converted.module.state_dict()[name])


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-1] + b"?", lambda d: d[:-1], lambda d: d + b"?", lambda d: b""]
)
def test_a_damaged_file_is_refused(small: SmallWeights, tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    path = tmp_path / "tiny.safetensors"
    path.write_bytes(damage(small.converted))
    actual, expected = sha256(path.read_bytes()).hexdigest(), small.entry.sources[1].file.sha256
    message = (
        f"{path} is not what the catalogue pins: SHA-256 {actual}, expected {expected}; "
        "repair it with `luxscaler weights fetch --force tiny`"
    )
    with pytest.raises(WeightsError, match=re.escape(message)):
        load_network("tiny", tmp_path, [small.entry])
    with pytest.raises(WeightsError, match=re.escape(message)):
        verify(None, tmp_path, [small.entry])
    assert [status.state for status in list_weights(tmp_path, [small.entry])] == ["damaged"]


def test_loading_needs_no_writable_folder(small: SmallWeights, tmp_path: Path) -> None:
    (tmp_path / "tiny.pth").write_bytes(small.release)
    tmp_path.chmod(0o555)
    try:
        assert load_network("tiny", tmp_path, [small.entry]).source == "release"
    finally:
        tmp_path.chmod(0o755)


@pytest.mark.parametrize(
    "config", [RRDBNetConfig(scale=2, features=4, blocks=1, growth=2), SRVGGConfig(3, 3, 4, 1)]
)
def test_a_checkpoint_of_ones_own(tmp_path: Path, config: RRDBNetConfig | SRVGGConfig) -> None:
    torch.manual_seed(7)
    path = tmp_path / "mine.v2.pth"
    torch.save({"params_ema": build_network(config).state_dict()}, path)
    for given in (path, str(path)):
        loaded = load_network(given, tmp_path)
        assert (loaded.config, loaded.name, loaded.source) == (config, "mine.v2", str(path))
        assert loaded.digest == sha256(path.read_bytes()).hexdigest()


def test_errors_of_an_own_checkpoint_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    buffer = io.BytesIO()
    torch.save({"layer": torch.ones(1)}, buffer)
    path.write_bytes(buffer.getvalue())
    with pytest.raises(WeightsError, match=f"{path}: unknown architecture"):
        load_network(path)
    path.write_bytes(b"")
    with pytest.raises(WeightsError, match=f"{path}: not a readable"):
        load_network(path)


def test_an_own_checkpoint_has_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_CHECKPOINT_BYTES", 10)
    path = tmp_path / "mine.pth"
    path.write_bytes(b"x" * 11)
    with pytest.raises(WeightsError, match="more than 10 bytes"):
        load_network(path)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "layers"), [("photo", 351), ("anime", 96), ("fast", 35)])
def test_the_real_weights_load(real_weights: Path, name: str, layers: int) -> None:
    (status,) = verify([name], real_weights)
    loaded = load_network(name, real_weights)
    assert loaded.digest == status.digest
    state = loaded.module.state_dict()
    assert len({key.rpartition(".")[0] for key in state}) == layers
    assert loaded.config == next(entry.config for entry in load_catalogue() if entry.name == name)
    # The same file as a checkpoint of the user's own: its size is inferred.
    assert status.path is not None
    assert load_network(status.path).config == loaded.config
    # Trained networks keep a flat colour; wrongly ordered parameters do not.
    flat = torch.tensor([0.6, 0.4, 0.2]).reshape(1, 3, 1, 1).expand(1, 3, 24, 24)
    centre = loaded.module(flat)[:, :, 32:64, 32:64]
    assert torch.allclose(centre, flat[:, :, :1, :1].expand_as(centre), atol=0.03)
