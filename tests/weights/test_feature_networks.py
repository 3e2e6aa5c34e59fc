"""Networks that look at pictures: what the catalogue pins, conversion, fetching, reading."""

import json
import zipfile
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from luxscaler.cli.main import app
from luxscaler.errors import WeightsError
from luxscaler.networks.efficientnet import EfficientNetLite0, parameter_names
from luxscaler.networks.vgg import VGG, VGG16_HED, VGG19
from luxscaler.weights import feature_networks as module
from luxscaler.weights.catalogue import CATALOGUE, load_catalogue
from luxscaler.weights.download import FileDigest
from luxscaler.weights.feature_networks import (
    HED_NAME,
    JUDGE_NAME,
    VGG19_NAME,
    FeatureNetwork,
    absent_line,
    converted,
    feature_network_state,
    feature_networks,
    fetch_feature_network,
    is_there,
    read,
)
from luxscaler.weights.installed import FOLDER_VARIABLE
from luxscaler.weights.wheel import Wheel, _pip_command
from tests.support.local_server import serve, whole
from tests.support.small_weights import digest_of


def _networks() -> list[FeatureNetwork]:
    return list(feature_networks().values())


def test_the_catalogue_pins_three() -> None:
    networks = feature_networks()
    assert list(networks) == [VGG19_NAME, HED_NAME, JUDGE_NAME]
    for each in networks.values():
        assert (each.url is None) == (each.wheel is not None) == (each.member is not None)
        assert each.description
        assert each.licence
    vgg19 = networks[VGG19_NAME]
    assert vgg19.url == f"https://download.pytorch.org/models/{vgg19.file.name}"
    assert vgg19.file.name == f"vgg19-{vgg19.file.sha256[:8]}.pth"  # torchvision names files by their hash
    names = [each.file.name for each in networks.values()]
    names += [source.file.name for entry in load_catalogue() for source in entry.sources]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("wrong", [{"licence": None}, {"wheel": "other"}, {"file": 3}])
def test_a_malformed_catalogue_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    content = json.loads(CATALOGUE.read_text())
    entry = content["feature_networks"][JUDGE_NAME]
    for name, value in wrong.items():
        if value is None:
            del entry[name]
        else:
            entry[name] = value
    path = tmp_path / "catalogue.json"
    path.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match=f"{path} is malformed"):
        feature_networks(path)
    with pytest.raises(WeightsError, match=r"cannot read the catalogue .*absent\.json"):
        feature_networks(tmp_path / "absent.json")


def test_the_places_in_heds_file_are_those_of_its_layers() -> None:
    member = feature_networks()[HED_NAME].member
    assert member is not None
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in VGG(VGG16_HED).state_dict().items()}
    ends = []
    for name, channels, made, weight_at, bias_at in module._HED_ARRAYS:
        assert shapes.pop(f"{name}.weight") == (made, channels, 3, 3)
        assert shapes.pop(f"{name}.bias") == (made,)
        ends += [(weight_at, weight_at + 36 * channels * made), (bias_at, bias_at + 4 * made)]
    assert not shapes
    ends.sort()
    assert all(before[1] <= after[0] for before, after in pairwise(ends))
    assert ends[-1][1] <= member.size


def test_heds_weights_are_turned_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HED_ARRAYS", (("conv1_1", 3, 2, 8, 240),))
    weight = np.arange(54, dtype="<f4")
    data = b"\0" * 8 + weight.tobytes() + b"\0" * 16 + np.array([7.0, 8.0], "<f4").tobytes()
    found = torch.from_numpy(weight.reshape(3, 3, 3, 2))
    from luxscaler.weights.checkpoint import read_state_dict

    state = read_state_dict(converted(HED_NAME, data), ".safetensors")
    assert state["conv1_1.bias"].tolist() == [7.0, 8.0]
    for row, column, channel, made in ((0, 0, 0, 0), (2, 1, 0, 1), (1, 2, 2, 0)):
        assert state["conv1_1.weight"][made, channel, row, column] == found[row, column, channel, made]


def test_of_the_judges_file_only_what_is_needed_is_kept(tmp_path: Path) -> None:
    torch.manual_seed(1)
    state = {**EfficientNetLite0().state_dict(), "_fc.weight": torch.zeros(3, 3)}
    torch.save(state, tmp_path / "a.pth")
    from luxscaler.weights.checkpoint import read_state_dict

    kept = read_state_dict(converted(JUDGE_NAME, (tmp_path / "a.pth").read_bytes()), ".safetensors")
    assert set(kept) == set(parameter_names())
    assert all(torch.equal(kept[name], state[name]) for name in kept)


def test_torchvisions_numbers_become_names() -> None:
    places = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
    with torch.device("meta"):
        names = [name for name, _ in VGG(VGG19).named_children()]
    state = {
        f"features.{place}.{part}": torch.tensor([float(place)])
        for place in places
        for part in ("weight", "bias")
    }
    found = module._of_torchvision({**state, "classifier.0.weight": torch.zeros(1)})
    assert [float(found[f"{name}.weight"]) for name in names] == list(map(float, places))
    assert len(found) == 32


@pytest.fixture
def from_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FeatureNetwork:
    """The judge, with random weights, out of a wheel that needs no pip."""
    torch.manual_seed(1)
    torch.save(EfficientNetLite0().state_dict(), tmp_path / "m.pth")
    content = (tmp_path / "m.pth").read_bytes()
    path = tmp_path / "judge-1.0-py2.py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/m.pth", content)
    data = converted(JUDGE_NAME, content)
    wheel = Wheel("judge", "1.0", digest_of(path.name, path.read_bytes()))
    network = FeatureNetwork(
        *(JUDGE_NAME, "judges", "MIT", digest_of("judge.safetensors", data)),
        *(None, wheel, digest_of("a/m.pth", content)),
    )
    monkeypatch.setattr(module, "feature_networks", lambda: {JUDGE_NAME: network})
    monkeypatch.setattr(module, "download_wheel", lambda *_: path)
    return network


@pytest.mark.slow
def test_a_network_comes_out_of_its_wheel(from_wheel: FeatureNetwork, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    assert feature_network_state(JUDGE_NAME, folder) == "absent"
    assert not is_there(JUDGE_NAME, folder)
    with pytest.raises(WeightsError, match="get them with `luxscaler weights fetch judge`"):
        read(JUDGE_NAME, folder)
    path, fresh = fetch_feature_network(JUDGE_NAME, folder)
    assert fresh
    assert sha256(path.read_bytes()).hexdigest() == from_wheel.file.sha256
    assert fetch_feature_network(JUDGE_NAME, folder) == (path, False)
    state, digest = read(JUDGE_NAME, folder)
    assert (set(state), digest) == (set(parameter_names()), from_wheel.file.sha256)
    path.write_bytes(b"something else")
    assert feature_network_state(JUDGE_NAME, folder) == "damaged"
    for act in (fetch_feature_network, read):
        with pytest.raises(WeightsError, match=r"is not what the catalogue pins.*--force judge"):
            act(JUDGE_NAME, folder)
    assert fetch_feature_network(JUDGE_NAME, folder, force=True) == (path, True)
    assert feature_network_state(JUDGE_NAME, folder) == "verified"
    assert [each.name for each in folder.iterdir()] == [from_wheel.file.name]


def test_a_network_comes_from_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "v.pth")
    data = (tmp_path / "v.pth").read_bytes()
    with serve(whole(data)) as server:
        network = FeatureNetwork(
            VGG19_NAME, "", "", digest_of("vgg.pth", data), server.url, wheel=None, member=None
        )
        monkeypatch.setattr(module, "feature_networks", lambda: {VGG19_NAME: network})
        path, fresh = fetch_feature_network(VGG19_NAME, tmp_path / "weights")
    assert fresh
    assert path.read_bytes() == data


def test_wheels_for_any_machine_are_asked_for_without_tags(tmp_path: Path) -> None:
    for each in (network for network in _networks() if network.wheel is not None):
        assert each.wheel is not None
        assert "--platform" not in _pip_command(each.wheel, tmp_path)
    special = Wheel("a", "1", FileDigest("a-1-cp311-none-manylinux1_x86_64.whl", 1, "0" * 64))
    assert "manylinux1_x86_64" in _pip_command(special, tmp_path)


@pytest.mark.slow
def test_the_command_lists_fetches_and_verifies(
    from_wheel: FeatureNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "weights"
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["weights", *words], prog_name="luxscaler")
        return result.exit_code, result.output

    status, text = run("verify", JUDGE_NAME)
    assert status == 1
    assert absent_line(JUDGE_NAME, folder) in text
    status, text = run("fetch", JUDGE_NAME)
    assert status == 0
    assert "weights judge: fetched from the wheel" in text
    status, text = run("fetch", JUDGE_NAME)
    assert "is there, verified" in text
    status, text = run("verify", JUDGE_NAME)
    assert (status, from_wheel.file.sha256 in text) == (0, True)
    status, text = run("list")
    (line,) = (line for line in text.splitlines() if "judge " in line)
    assert "verified" in line
    assert "wheel" in line


@pytest.mark.slow
def test_the_real_ones_are_what_they_are_taken_for(real_feature_networks: Path) -> None:
    """Right wiring shows in batch norms: what comes in has about the mean and spread that they learned."""
    from PIL import Image

    from tests.conftest import SAMPLE

    with Image.open(SAMPLE / "master.jpg") as image:
        pixels = np.asarray(image.convert("RGB"), np.float32) / 255
    picture = torch.from_numpy(pixels).permute(2, 0, 1)[None, :, :256, :256]
    network = EfficientNetLite0().eval()
    network.load_state_dict(read(JUDGE_NAME, real_feature_networks)[0], strict=False)
    off: list[float] = []

    def look(norm: torch.nn.Module, seen: tuple[torch.Tensor], _: torch.Tensor) -> None:
        assert isinstance(norm, torch.nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        alive = norm.running_var > 1e-3
        difference = (seen[0].mean((0, 2, 3)) - norm.running_mean).abs() / norm.running_var.sqrt()
        off.append(float(difference[alive].median()))

    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.register_forward_hook(look)
    with torch.inference_mode():
        network(picture)
        assert max(off) < 1.0
        vgg = VGG(VGG16_HED)
        vgg.load_state_dict(read(HED_NAME, real_feature_networks)[0])
        seen = vgg(picture, ["conv4_3"])["conv4_3"]
        # Edges are seen where they are: the layer answers more at the picture's sharpest places.
        grey = torch.nn.functional.adaptive_avg_pool2d(
            picture.mean(1, keepdim=True).diff(dim=3).abs(), seen.shape[2:]
        )
        answer = seen.abs().mean(1, keepdim=True)
        both = torch.stack((grey.flatten(), answer.flatten()))
        assert float(torch.corrcoef(both)[0, 1]) > 0.3
