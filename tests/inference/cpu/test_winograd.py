"""Winograd's filtering: the matrices are right, the blocks equal the plain ones for any size and bands."""

import copy

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.inference.cpu import winograd
from luxscaler.inference.cpu.winograd import POINTS, TiledPicture, WinogradTrunk, matrices
from luxscaler.networks.build import build_network
from luxscaler.networks.rrdb import RRDBNet, RRDBNetConfig
from tests.support.slow import slow

BOUND = 1e-5
"""Largest difference to the plain blocks in float64, as a part of the largest value. Plain float32: 1e-6."""
SIZES = [(1, 1), (1, 9), (4, 4), (5, 3), (37, 21), (64, 8), *slow((130, 33))]


def network(features: int = 8, growth: int = 4, blocks: int = 2) -> RRDBNet:
    torch.manual_seed(5)
    result = build_network(RRDBNetConfig(features=features, growth=growth, blocks=blocks))
    assert isinstance(result, RRDBNet)
    for parameter in result.parameters():  # strong enough that a wrong tap, bias or edge shows
        parameter.data.mul_(3.0).add_(torch.randn_like(parameter) * 0.05)
    return result.eval().requires_grad_(False)


def features(channels: int, height: int, width: int) -> Tensor:
    return torch.randn(
        1, channels, height, width, generator=torch.Generator().manual_seed(height * 7 + width)
    )


def error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("points", [POINTS, (0.0, 1.0, -1.0, 0.5, -2.0)])
def test_the_matrices_filter_exactly(points: tuple[float, ...]) -> None:
    back, kernel, forth = matrices(points)
    generator = torch.Generator().manual_seed(1)
    signal = torch.randn(6, dtype=torch.float64, generator=generator)
    taps = torch.randn(3, dtype=torch.float64, generator=generator)
    expected = F.conv1d(signal[None, None], taps[None, None])[0, 0]
    torch.testing.assert_close(back @ ((kernel @ taps) * (forth @ signal)), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_picture_survives_being_tiled(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "TARGET_TILES", 6)
    x = features(3, *size)
    picture = TiledPicture.of(x)
    assert torch.equal(picture.rows(0, size[0]), x)
    for start in range(0, size[0], 3):
        stop = min(start + 5, size[0])
        assert torch.equal(picture.rows(start, stop), x[:, :, start:stop])


@pytest.mark.sample(3)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("tiles", [6, 256, *slow(1, 16)])
@torch.inference_mode()
def test_blocks_equal_the_plain_ones(
    size: tuple[int, int], tiles: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd, "TARGET_TILES", tiles)
    plain, x = network(), features(8, *size)
    expected = copy.deepcopy(plain).double().body(x.double())
    assert error(WinogradTrunk(plain)(x).rows(0, size[0]), expected) <= BOUND
    assert error(plain.body(x), expected) <= BOUND


@torch.inference_mode()
def test_the_sizes_of_the_published_networks() -> None:
    plain, x = network(features=64, growth=32, blocks=1), features(64, 30, 26) * 0.3
    expected = copy.deepcopy(plain).double().body(x.double())
    assert error(WinogradTrunk(plain)(x).rows(0, 30), expected) <= BOUND


@torch.inference_mode()
def test_the_same_numbers_from_run_to_run_and_the_input_as_it_was() -> None:
    trunk, x = WinogradTrunk(network()), features(8, 20, 30)
    before = x.clone()
    first = trunk(x).rows(0, 20)
    trunk(features(8, 9, 50))
    assert torch.equal(trunk(x).rows(0, 20), first)
    assert torch.equal(x, before)


@torch.inference_mode()
def test_each_block_reports() -> None:
    seen: list[float] = []
    WinogradTrunk(network(blocks=4))(features(8, 4, 4), seen.append)
    assert seen == [0.25, 0.5, 0.75, 1.0]


@torch.inference_mode()
def test_a_large_picture_keeps_no_transformed_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    trunk, x = WinogradTrunk(network()), features(8, 20, 30)
    layers = [layer for block in trunk._blocks for dense in block for layer in dense]
    first = trunk(x).rows(0, 20)
    assert all(layer._kernel is not None for layer in layers)
    monkeypatch.setattr(winograd, "KEEP_PIXELS", 20 * 30 - 1)
    assert torch.equal(trunk(x).rows(0, 20), first)
    assert all(layer._kernel is None for layer in layers)
    assert torch.equal(trunk(x).rows(0, 20), first)
