"""Networks of any architecture: what we load equals spandrel's, the rest comes by spandrel or is refused."""

import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from luxscaler.errors import InputError, WeightsError
from luxscaler.networks.build import AnyNetwork, build_network
from luxscaler.networks.foreign import ForeignNetwork
from luxscaler.networks.rrdb import RRDBNetConfig
from luxscaler.options import UpscalerOptions
from luxscaler.upscaling.model_cache import Models
from luxscaler.upscaling.upscaler import Upscaler
from luxscaler.weights import spandrel_loader
from luxscaler.weights.spandrel_loader import foreign_architectures, load_foreign
from luxscaler.weights.store import convert_checkpoint, load_network, network_of, scale_of
from tests.conftest import ROOT
from tests.support.architectures import SAMPLES, Sample

pytestmark = pytest.mark.skipif(find_spec("spandrel") is None, reason="needs the extra models")

PARITY = 1e-5
"""Largest difference to spandrel's output, fp32."""
_SMALL: dict[str, Any] = {"num_filters": 8, "num_blocks": 1}
_THIN: dict[str, Any] = {"num_feat": 6, "num_conv": 2}
ESRGAN = [
    *({**_SMALL, "scale": scale} for scale in (1, 2, 4, 8, 16)),
    *(
        {**_SMALL, "scale": 2, "in_nc": one, "out_nc": other}
        for one, other in ((1, 1), (1, 3), (3, 1), (4, 4))
    ),
    {**_SMALL, "num_blocks": 2, "plus": True},
    {**_SMALL, "in_nc": 12, "shuffle_factor": 2},
    {**_SMALL, "in_nc": 48, "shuffle_factor": 4},
    {**_SMALL, "in_nc": 12, "shuffle_factor": 2, "scale": 2},
    {**_SMALL, "in_nc": 4, "out_nc": 1, "shuffle_factor": 2},
]
COMPACT = [
    *({**_THIN, "upscale": scale} for scale in (1, 2, 3, 4, 8)),
    {**_THIN, "num_in_ch": 1, "num_out_ch": 1},
    {**_THIN, "num_in_ch": 1, "num_out_ch": 3, "upscale": 2},
    {**_THIN, "num_in_ch": 4, "num_out_ch": 4, "upscale": 2},
    {"num_feat": 3, "num_conv": 0},
]
QUICK = [sample for sample in SAMPLES if sample.architecture in ("SPAN", "PLKSR", "DnCNN", "SAFMN")]
CPU = UpscalerOptions(device="cpu")


def varied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Slopes and biases too, so that none hides a mix-up by being constant."""
    generator = torch.Generator().manual_seed(1)
    return {n: v + torch.randn(v.shape, generator=generator) * 0.02 for n, v in state.items()}


def saved(state: dict[str, Tensor], folder: Path, name: str = "model.pth") -> Path:
    torch.save(state, folder / name)
    return folder / name


@pytest.mark.sample(6)
@pytest.mark.parametrize(
    "sample",
    [
        *(Sample("ESRGAN", "RRDB", "RRDBNet", sizes) for sizes in ESRGAN),
        *(Sample("Compact", "SRVGG", "SRVGGNetCompact", sizes) for sizes in COMPACT),
    ],
    ids=lambda sample: f"{sample.architecture} {sample.sizes}",
)
def test_ours_equal_spandrels(sample: Sample, tmp_path: Path) -> None:
    state = varied(sample.state())
    ours, theirs = load_network(saved(state, tmp_path)), load_foreign(state)
    assert not isinstance(ours.module, ForeignNetwork)
    assert ours.scale == theirs.config.scale
    channels = (ours.config.in_channels, ours.config.out_channels)
    assert channels == (theirs.config.in_channels, theirs.config.out_channels)
    picture = torch.rand((1, channels[0], 12, 16), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        expected = theirs(picture)
        assert float(expected.abs().max()) > 1e-2
        torch.testing.assert_close(ours.module(picture), expected, rtol=0, atol=PARITY)


def test_scale_3_is_told_by_the_files_name(tmp_path: Path) -> None:
    config = RRDBNetConfig(scale=3, features=4, blocks=1, growth=2, steps=1, step_factor=3)
    state = build_network(config).state_dict()
    assert load_network(saved(state, tmp_path, "3x_name.pth")).config == config
    assert load_network(saved(state, tmp_path, "x3-name.pth")).scale == 3
    assert load_network(saved(state, tmp_path, "3xy.pth")).scale == 2
    upscaler = Upscaler(load_network(tmp_path / "3x_name.pth").module, CPU)
    assert upscaler.upscale(torch.rand(5, 7, 3), 3).shape == (15, 21, 3)


@pytest.mark.slow
@pytest.mark.sample(2)
@pytest.mark.parametrize("sample", QUICK, ids=lambda sample: sample.architecture)
def test_other_architectures_run_at_any_size_and_in_tiles(sample: Sample, tmp_path: Path) -> None:
    path = saved(sample.state(), tmp_path)
    network = load_network(path)
    assert isinstance(network.module, ForeignNetwork)
    assert scale_of(path) == network.scale
    picture = torch.rand((40, 75, 3), generator=torch.Generator().manual_seed(3))
    whole = Models(CPU, own_checkpoints=True)(str(path)).upscale(picture, network.scale)
    assert whole.shape == (40 * network.scale, 75 * network.scale, 3)
    assert float(whole.std()) > 0.01
    tiled = Upscaler(network.module, UpscalerOptions(device="cpu", tile=48, overlap=16))
    found = tiled.upscale(picture, network.scale)
    seam = (found - whole)[:, : 32 * network.scale].abs().mean()
    assert float(seam) < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.architecture)
def test_every_architecture_loads_or_is_refused_by_its_name(sample: Sample) -> None:
    name = foreign_architectures()[sample.architecture]
    if sample.architecture in spandrel_loader.REFUSED:
        with pytest.raises(WeightsError, match=f"architecture {name} is not supported: it "):
            load_foreign(sample.state())
    else:
        network = load_foreign(sample.state())
        assert network.config.architecture == name
        assert not any(parameter.requires_grad for parameter in network.parameters())


SURROUNDED: dict[str, Callable[[dict[str, Tensor]], dict[str, Tensor]]] = {
    "counters": lambda state: {**state, "n_averaged": torch.tensor(5), "step": torch.tensor([3])},
    "averaged": lambda state: {
        **{f"module.{name}": value for name, value in state.items()},
        "n_averaged": torch.tensor(5),
    },
    "ema": lambda state: {
        **{f"online_model.{name}": torch.zeros_like(value) for name, value in state.items()},
        **{f"ema_model.{name}": value for name, value in state.items()},
        "initted": torch.tensor(True),
    },
    "unknown prefixes": lambda state: {f"upscaler.module.x.{name}": value for name, value in state.items()},
    "a loss": lambda state: {
        **{f"model.{name}": value for name, value in state.items()},
        "loss_fn.vgg.0.weight": torch.ones(3),
    },
}


@cache
def _plain(name: str) -> tuple[dict[str, Tensor], AnyNetwork]:
    """A state dict, and the network that it becomes."""
    sample = Sample("ESRGAN", "RRDB", "RRDBNet", _SMALL) if name == "ours" else QUICK[0]
    state = sample.state()
    return state, network_of(state, "model")


@pytest.mark.sample(3)
@pytest.mark.parametrize("change", SURROUNDED.values(), ids=SURROUNDED)
@pytest.mark.parametrize("name", ["ours", "SPAN"])
def test_what_training_adds_to_the_names_is_taken_off(
    name: str, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]
) -> None:
    state, expected = _plain(name)
    found = network_of(change(state), "model")
    assert found.config == expected.config
    for parameter, value in expected.state_dict().items():
        assert torch.equal(found.state_dict()[parameter], value)


@pytest.mark.parametrize("mark", [True, torch.tensor(1), torch.tensor(0.0)], ids=["number", "whole", "float"])
def test_a_mark_counts_whatever_its_value(mark: Any, tmp_path: Path) -> None:
    """SPAN without normalisation says so by an entry, which is no counter and no setting."""
    sizes = {"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 12, "upscale": 2}
    state = Sample("SPAN", "span", "SPAN", {**sizes, "norm": False}).state()
    path = tmp_path / "model.pth"
    torch.save({"params": {**state, "no_norm": mark}}, path)
    found, expected = load_network(path).module, load_foreign(state)
    picture = torch.rand((1, 3, 8, 8), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        assert torch.equal(found(picture), expected(picture))


OTHER_WAYS_UP = (
    Sample(
        "FDAT",
        "fdat",
        "FDAT",
        {"scale": 2, "embed_dim": 8, "num_groups": 1, "depth_per_group": 1, "num_heads": 2, "mid_dim": 8}
        | {"upsampler_type": "dysample"},
    ),
    Sample(
        "Swin2SR",
        "Swin2SR",
        "Swin2SR",
        {"embed_dim": 12, "depths": [2], "num_heads": [2], "window_size": 8, "upscale": 2}
        | {"upsampler": "pixelshuffle_hf"},
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("sample", OTHER_WAYS_UP, ids=lambda sample: sample.architecture)
def test_ways_of_enlarging_that_spandrel_loads_but_does_not_run(sample: Sample) -> None:
    network = load_foreign(sample.state())
    picture = torch.rand((1, 3, 16, 24), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        assert network(picture).shape == (1, 3, 32, 48)


def test_a_network_beside_an_unknown_one_is_not_taken_for_the_whole() -> None:
    state = {f"denoise.{name}": value for name, value in QUICK[0].state().items()}
    with pytest.raises(WeightsError, match="unknown architecture"):
        network_of({**state, "enlarge.weight": torch.ones(3, 3)}, "model")


def test_there_is_a_sample_of_every_architecture() -> None:
    assert {sample.architecture for sample in SAMPLES} == set(foreign_architectures())


def test_the_document_has_a_row_for_every_architecture() -> None:
    text = (ROOT / "docs" / "models.md").read_text("utf-8")
    assert all(f"\n| {name} | " in text for name in foreign_architectures().values())


@pytest.mark.parametrize(
    ("names", "architecture"),
    [
        (["f_HR_conv1.0.weight"], "SPSR"),
        (["head.0.weight", "body.0.body.0.weight", "tail.0.0.weight"], "EDSR"),
        (["module.conv_first.weight", "module.body.0.conv1.weight", "module.upconv1.weight"], "SRResNet"),
    ],
)
def test_what_nobody_loads_is_refused_by_its_name(names: list[str], architecture: str) -> None:
    with pytest.raises(WeightsError, match=f"architecture {architecture} is not supported: neither"):
        load_foreign({name: torch.ones(4, 4, 3, 3) for name in names})


def test_esrgan_2c2_is_refused_by_its_name(tmp_path: Path) -> None:
    state = {name: torch.ones(4, 4, 2, 2) for name in ("model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight")}
    with pytest.raises(WeightsError, match="architecture ESRGAN 2C2 is not supported"):
        load_network(saved(state, tmp_path))


def test_weights_that_do_not_fit_name_the_architecture() -> None:
    state = QUICK[0].state()
    state.pop(next(name for name in state if name.startswith("block_3")))
    with pytest.raises(WeightsError, match=r"^architecture SPAN, which the weights do not fit: "):
        load_foreign(state)
    with pytest.raises(WeightsError, match="has values that are not finite"):
        load_foreign({"a": torch.full((2,), torch.nan)})


def test_without_spandrel_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(QUICK[0].state(), tmp_path)
    monkeypatch.setitem(sys.modules, "spandrel", None)
    monkeypatch.delitem(sys.modules, "spandrel")

    def absent(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(spandrel_loader, "import_module", absent)
    with pytest.raises(WeightsError, match=r"others need spandrel: pip install 'luxscaler\[models\]'"):
        load_network(path)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_user_hears_no_warnings_of_its_code() -> None:
    state = next(sample for sample in SAMPLES if sample.architecture == "DAT").state()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        load_foreign(state)
        warnings.warn("another", UserWarning, stacklevel=1)
    assert [str(one.message) for one in heard] == ["another"]


def test_only_ours_are_converted(tmp_path: Path) -> None:
    path = saved(QUICK[0].state(), tmp_path)
    with pytest.raises(WeightsError, match="is SPAN; this is for ESRGAN and Compact alone"):
        convert_checkpoint(path, tmp_path / "out.safetensors")


def test_a_precision_without_finite_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    network = load_foreign(QUICK[0].state())

    def overflows(_model: nn.Module, x: Tensor) -> Tensor:
        return x / 0.0 if torch.is_autocast_enabled(x.device.type) else x

    network._call = overflows
    monkeypatch.setattr("luxscaler.upscaling.upscaler.has_bf16", lambda: True)
    with pytest.raises(InputError, match="precision is 'bf16', in which this SPAN gives no finite values"):
        Upscaler(network, UpscalerOptions(device="cpu", precision="bf16"))
    assert Upscaler(network, CPU).precision == "fp32"


@pytest.mark.slow
def test_luxscaler_and_our_networks_do_not_import_spandrel(tmp_path: Path) -> None:
    path = saved(build_network(RRDBNetConfig(features=4, blocks=1, growth=2)).state_dict(), tmp_path)
    code = (
        "import sys, luxscaler; luxscaler.load_model(sys.argv[1], device='cpu');"
        "assert not {'spandrel', 'torchvision'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_stand_ins_for_torchvision_leave_no_trace() -> None:
    foreign_architectures()
    module = sys.modules.get("torchvision")
    assert module is None or module.__spec__ is not None
