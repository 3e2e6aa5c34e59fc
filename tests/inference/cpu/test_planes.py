"""The blocks in bfloat16 by planes: as near to float32 as the plain ones, whatever the bands."""

import copy

import pytest
import torch
from torch import Tensor

from luxscaler.inference.cpu import planes
from luxscaler.inference.cpu.planes import PlanePicture, PlaneTrunk, usable
from luxscaler.networks.build import build_network
from luxscaler.networks.rrdb import RRDBNet, RRDBNetConfig
from tests.support.processor import needs_bf16
from tests.support.slow import slow

pytestmark = needs_bf16


def network(features: int = 64, growth: int = 32, blocks: int = 1) -> RRDBNet:
    torch.manual_seed(6)
    result = build_network(RRDBNetConfig(features=features, growth=growth, blocks=blocks))
    assert isinstance(result, RRDBNet)
    for parameter in result.parameters():
        parameter.data.mul_(2.0).add_(torch.randn_like(parameter) * 0.02)
    return result.eval().requires_grad_(False)


def features(channels: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(height * 7 + width)
    return torch.randn(1, channels, height, width, generator=generator).bfloat16()


def in_bands_of(pixels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planes, "TARGET_PIXELS", pixels)
    monkeypatch.setattr(planes, "WHOLE_PIXELS", pixels)


def distance(found: Tensor, expected: Tensor) -> float:
    """Root of the mean square, as a part of the expected one's."""
    return float((found.double() - expected).square().mean().sqrt() / expected.square().mean().sqrt())


@pytest.mark.sample(2)
@pytest.mark.parametrize("size", [(1, 1), (5, 3), (20, 7), (33, 16)], ids=str)
@pytest.mark.parametrize("pixels", [40, 4096, *slow(1)])
@torch.inference_mode()
def test_as_near_to_the_truth_as_the_plain_blocks(
    size: tuple[int, int], pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_bands_of(pixels, monkeypatch)
    plain, x = network(), features(64, *size)
    assert usable(plain)
    expected = copy.deepcopy(plain).double().body(x.double())
    rounded = distance(copy.deepcopy(plain).bfloat16().body(x), expected)
    # Sums are rounded once, the plain blocks' twice.
    assert distance(PlaneTrunk(plain)(x).rows(0, size[0]), expected) <= max(rounded, 4e-3)


@pytest.mark.slow
@torch.inference_mode()
def test_the_bands_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    trunk, x = PlaneTrunk(network()), features(64, 40, 16)
    assert PlanePicture.of(x).bands.count == 1
    whole = trunk(x).rows(0, 40)
    for pixels in (16, 48, 16 * 13):
        in_bands_of(pixels, monkeypatch)
        assert torch.equal(trunk(x).rows(0, 40), whole)


def test_a_picture_survives_being_cut_into_planes(monkeypatch: pytest.MonkeyPatch) -> None:
    in_bands_of(21, monkeypatch)
    x = features(64, 11, 7)
    picture = PlanePicture.of(x)
    assert torch.equal(picture.rows(0, 11), x)
    assert torch.equal(picture.rows(2, 9), x[:, :, 2:9])


@torch.inference_mode()
def test_the_same_numbers_from_run_to_run_and_the_input_as_it_was() -> None:
    trunk, x = PlaneTrunk(network()), features(64, 20, 10)
    before = x.clone()
    first = trunk(x).rows(0, 20)
    trunk(features(64, 9, 15))
    assert torch.equal(trunk(x).rows(0, 20), first)
    assert torch.equal(x, before)


@torch.inference_mode()
def test_each_block_reports() -> None:
    seen: list[float] = []
    PlaneTrunk(network(blocks=2))(features(64, 4, 4), seen.append)
    assert seen == [0.5, 1.0]


@pytest.mark.parametrize(("features", "growth"), [(8, 4), (48, 32), (64, 16)])
def test_other_sizes_are_not_for_it(features: int, growth: int) -> None:
    assert not usable(network(features, growth))


def test_without_its_operators_it_is_not_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = network()
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not usable(plain)
