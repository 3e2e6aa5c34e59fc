"""The prepared network: the plain one's numbers for every size, strip height, precision and fallback."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from luxscaler.inference.cpu import rrdb
from luxscaler.inference.cpu.rrdb import Convolution, FastRRDBNet, LastConvolution
from luxscaler.inference.cpu.support import has_bf16
from luxscaler.inference.prepare import prepared
from luxscaler.io.read import read_picture
from luxscaler.networks.build import Network, build_network
from luxscaler.networks.rrdb import RRDBNet, RRDBNetConfig
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.upscaling.code_values import encode
from luxscaler.weights.store import load_network
from tests.conftest import SAMPLE
from tests.support.processor import DTYPES, needs_bf16
from tests.support.slow import slow

CPU = torch.device("cpu")
BOUND = 1e-5
"""Largest difference in code values, float32."""
EXACT_DB = 110.0
"""PSNR to the plain network with the real weights, float32; measured: 134 dB."""
SIZES = [(4, 4), (8, 20), (36, 12), (52, 4)]


def network(config: RRDBNetConfig) -> RRDBNet:
    torch.manual_seed(8)
    result = build_network(config)
    assert isinstance(result, RRDBNet)
    for parameter in result.parameters():
        parameter.data.mul_(2.0).add_(torch.randn_like(parameter) * 0.03)
    return result.eval().requires_grad_(False)


def tiny(scale: int = 4) -> RRDBNet:
    return network(RRDBNetConfig(scale=scale, features=8, blocks=1, growth=4))


def picture(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height + width))


def fast(plain: Network, dtype: torch.dtype = torch.float32) -> FastRRDBNet:
    result = prepared(plain, CPU, dtype)
    assert isinstance(result, FastRRDBNet)
    return result


def psnr(one: Tensor, other: Tensor) -> float:
    return float(-10 * (one.clamp(0, 1) - other.clamp(0, 1)).square().mean().log10())


@pytest.mark.sample(3)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("scale", [4, 2, 1])
@torch.inference_mode()
def test_equals_the_plain_network(size: tuple[int, int], scale: int) -> None:
    plain, x = tiny(scale), picture(*size)
    found, expected = fast(plain)(x), plain(x)
    assert found.shape == expected.shape
    assert found.dtype == torch.float32
    assert float((found - expected).abs().max()) <= BOUND * max(1.0, float(expected.abs().max()))


@pytest.mark.sample(1)
@pytest.mark.parametrize("side", [11, 100, *slow(1, 2, 3, 7)])
@torch.inference_mode()
def test_blocks_of_any_size_give_the_whole(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = tiny()
    for parameter in plain.parameters():  # so that what a block fails to see would show
        parameter.data.abs_()
    monkeypatch.setattr(rrdb, "BLOCK", side)
    x = picture(20, 16)
    torch.testing.assert_close(fast(plain)(x), plain(x), rtol=1e-5, atol=1e-6)


@torch.inference_mode()
def test_without_onednn_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, x = tiny(), picture(12, 12)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert prepared(plain, CPU, torch.bfloat16) is None
    torch.testing.assert_close(fast(plain)(x), plain(x), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@needs_bf16
@torch.inference_mode()
def test_bf16_is_as_near_as_the_plain_network_in_bf16() -> None:
    plain, x = network(RRDBNetConfig(blocks=1)), picture(24, 20)
    expected = plain(x)
    rounded = copy.deepcopy(plain).bfloat16()(x.bfloat16())
    distance = float((fast(plain, torch.bfloat16)(x) - expected).square().mean().sqrt())
    assert distance <= 1.2 * float((rounded - expected).square().mean().sqrt())


def test_what_it_is_not_for_stays_as_it_is() -> None:
    compact = build_network(SRVGGConfig(features=4, convs=1))
    assert prepared(compact, torch.device("mps"), torch.float32) is None
    assert prepared(compact, torch.device("cuda"), torch.float16) is None
    assert prepared(tiny(), torch.device("cuda"), torch.float16) is None
    assert prepared(tiny(), torch.device("mps"), torch.float32) is None
    assert prepared(tiny(), CPU, torch.bfloat16) is None


@torch.inference_mode()
def test_neither_the_network_nor_the_input_is_changed() -> None:
    plain, x = tiny(), picture(8, 8)
    before, state = x.clone(), copy.deepcopy(plain.state_dict())
    first = fast(plain)(x)
    assert torch.equal(x, before)
    assert all(torch.equal(value, state[name]) for name, value in plain.state_dict().items())
    assert torch.equal(fast(plain)(x), first)


@pytest.mark.parametrize("leaky", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@torch.inference_mode()
def test_a_convolution_with_its_activation(leaky: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(2)
    conv, x = nn.Conv2d(5, 7, 3).requires_grad_(False), torch.randn(1, 5, 6, 9)
    expected = F.conv2d(x, conv.weight, conv.bias, padding=(1, 0))
    expected = F.leaky_relu(expected, 0.2) if leaky else expected
    found = Convolution(conv, dtype, leaky=leaky)(x.to(dtype), (1, 0))
    tolerance = 1e-5 if dtype == torch.float32 else 3e-2
    torch.testing.assert_close(found.float(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (6, 2), (7, 9)], ids=str)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("pixels", [10, 4096])
@torch.inference_mode()
def test_the_last_convolution(
    size: tuple[int, int], bias: bool, pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rrdb, "PRODUCT_PIXELS", pixels)
    torch.manual_seed(3)
    conv, x = nn.Conv2d(6, 3, 3, padding=1, bias=bias).requires_grad_(False), torch.randn(1, 6, *size)
    torch.testing.assert_close(LastConvolution(conv)(x), conv(x), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["photo", "anime"])
@torch.inference_mode()
def test_real_weights(name: str, real_weights: Path) -> None:
    plain = load_network(name, real_weights).own
    rgb = read_picture(SAMPLE / "tile.png").rgb[60:107, 100:146]
    x = encode(torch.from_numpy(rgb.copy())).permute(2, 0, 1)[None]
    expected = plain(x)
    assert psnr(fast(plain)(x), expected) >= EXACT_DB
    if has_bf16():
        assert psnr(fast(plain, torch.bfloat16)(x), expected) >= 50.0
