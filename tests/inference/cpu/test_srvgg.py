"""SRVGGNetCompact in bands: the plain network's numbers for every size, activation, precision and band."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from luxscaler.inference.cpu import srvgg
from luxscaler.inference.cpu.srvgg import FastSRVGG
from luxscaler.inference.cpu.support import has_bf16
from luxscaler.inference.prepare import prepared
from luxscaler.io.read import read_picture
from luxscaler.networks.build import build_network
from luxscaler.networks.srvgg import SRVGGConfig, SRVGGNetCompact
from luxscaler.upscaling.code_values import encode
from luxscaler.weights.store import load_network
from tests.conftest import SAMPLE
from tests.support.processor import DTYPES, needs_bf16
from tests.support.slow import slow

CPU = torch.device("cpu")
BOUND = 1e-5
"""Largest difference to the plain network in float64, as a part of the largest value. Measured: 1e-6."""
SIZES = [(1, 1), (5, 3), (1, 40), (40, 1), (33, 20)]
CONFIGS = [
    *(SRVGGConfig(features=6, convs=3, activation=name) for name in ("prelu", "relu", "leakyrelu")),
    SRVGGConfig(features=5, convs=1, scale=2),
    SRVGGConfig(features=1, convs=2, scale=1),
]
BANDS = [1, 60, 200, 500, 32768]
"""Pixels: of one row, of fewer and of more rows than there are layers, of more than the picture's."""
WHOLE = 65536


def network(config: SRVGGConfig) -> SRVGGNetCompact:
    torch.manual_seed(4)
    result = build_network(config)
    assert isinstance(result, SRVGGNetCompact)
    for parameter in result.parameters():  # strong enough that a wrong tap, bias or edge shows
        parameter.data.mul_(1.5).add_(torch.randn_like(parameter) * 0.05)
    for module in result.body:
        if isinstance(module, nn.PReLU):  # slopes below 0 and above 1, as in the published weights
            module.weight.data = torch.randn_like(module.weight)
    return result.eval().requires_grad_(False)


def picture(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height * 7 + width))


def fast(plain: SRVGGNetCompact, dtype: torch.dtype = torch.float32) -> FastSRVGG:
    result = prepared(plain, CPU, dtype)
    assert isinstance(result, FastSRVGG)
    return result


def noise(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).square().mean().sqrt())


@pytest.mark.sample(8)
@pytest.mark.parametrize(("pixels", "whole"), [*((pixels, 0) for pixels in BANDS), (1, WHOLE)])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("config", [CONFIGS[0], *slow(*CONFIGS[1:])], ids=str)
@torch.inference_mode()
def test_equals_the_plain_network(
    config: SRVGGConfig, size: tuple[int, int], pixels: int, whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(srvgg, "TARGET_PIXELS", pixels)
    monkeypatch.setattr(srvgg, "WHOLE_PIXELS", whole)
    plain, x = network(config), picture(*size)
    expected = copy.deepcopy(plain).double()(x.double())
    found = fast(plain)(x)
    assert found.shape == expected.shape
    assert found.dtype == torch.float32
    assert float((found - expected).abs().max()) <= BOUND * float(expected.abs().max())


@needs_bf16
@pytest.mark.parametrize("whole", [0, WHOLE])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("config", [CONFIGS[0], *slow(*CONFIGS[1:])], ids=str)
@torch.inference_mode()
def test_bf16_is_as_near_as_the_plain_network_in_bf16(
    config: SRVGGConfig, size: tuple[int, int], whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(srvgg, "WHOLE_PIXELS", whole)
    plain, x = network(config), picture(*size)
    expected = copy.deepcopy(plain).double()(x.double())
    rounded = copy.deepcopy(plain).bfloat16()(x.bfloat16())
    found = fast(plain, torch.bfloat16)(x)
    assert found.dtype == torch.float32
    assert noise(found, expected) <= 1.05 * noise(rounded.double(), expected)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@torch.inference_mode()
def test_the_size_of_the_published_network(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, x = network(SRVGGConfig()), picture(40, 32)
    expected = copy.deepcopy(plain).double()(x.double())
    allowed = noise(copy.deepcopy(plain).to(dtype)(x.to(dtype)).double(), expected)
    monkeypatch.setattr(srvgg, "TARGET_PIXELS", 256)
    for whole in (0, WHOLE):
        monkeypatch.setattr(srvgg, "WHOLE_PIXELS", whole)
        # oneDNN sums up in another order at other heights; in float32 that is all the noise there is.
        assert noise(fast(plain, dtype)(x), expected) <= (3.0 if dtype == torch.float32 else 1.05) * allowed


@pytest.mark.parametrize("dtype", DTYPES)
@torch.inference_mode()
def test_the_same_numbers_from_run_to_run_and_nothing_changed(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(srvgg, "TARGET_PIXELS", 200)
    monkeypatch.setattr(srvgg, "WHOLE_PIXELS", 0)
    plain, x = network(CONFIGS[0]), picture(33, 20)
    before, state = x.clone(), copy.deepcopy(plain.state_dict())
    made = fast(plain, dtype)
    first = made(x)
    made(picture(9, 50))
    assert torch.equal(made(x), first)
    assert torch.equal(x, before)
    assert all(torch.equal(value, state[name]) for name, value in plain.state_dict().items())


@torch.inference_mode()
def test_each_band_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(srvgg, "TARGET_PIXELS", 100)
    monkeypatch.setattr(srvgg, "WHOLE_PIXELS", 0)
    seen: list[float] = []
    fast(network(CONFIGS[0]))(picture(33, 20), seen.append)
    assert seen == sorted(seen)
    assert len(seen) > 4
    assert seen[-1] == 1.0


@torch.inference_mode()
def test_each_layer_of_a_small_picture_reports() -> None:
    seen: list[float] = []
    fast(network(CONFIGS[0]))(picture(4, 4), seen.append)
    assert seen == [0.2, 0.4, 0.6, 0.8, 1.0]


@pytest.mark.slow
@torch.inference_mode()
def test_real_weights(real_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(srvgg, "TARGET_PIXELS", 1000)
    monkeypatch.setattr(srvgg, "WHOLE_PIXELS", 0)
    plain = load_network("fast", real_weights).module
    assert isinstance(plain, SRVGGNetCompact)
    rgb = read_picture(SAMPLE / "tile.png").rgb[60:157, 100:196]
    x = encode(torch.from_numpy(rgb.copy())).permute(2, 0, 1)[None]
    expected = plain(x)
    assert noise(fast(plain)(x), expected) <= 1e-6
    if has_bf16():
        rounded = copy.deepcopy(plain).bfloat16()(x.bfloat16()).float()
        assert noise(fast(plain, torch.bfloat16)(x), expected) <= noise(rounded, expected)
