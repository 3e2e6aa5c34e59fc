"""Clues: finite for every picture, blind to size and colour order, and different for different renderings."""

import math
from functools import lru_cache

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.hdr.expand import ToneStatistics
from luxscaler.hdr.features import NAMES, SIDE, clues


@lru_cache(maxsize=1)
def scene(side: int = 160) -> Tensor:
    """Smooth light over six stops with soft edges, (side, 2·side, 3)."""
    generator = torch.Generator().manual_seed(3)
    light = torch.zeros(1, 3, side, 2 * side)
    for cells, weight in ((4, 1.5), (16, 0.7), (64, 0.3)):
        grid = torch.randn(1, 3, cells, 2 * cells, generator=generator)
        grid = grid.mean(1, keepdim=True) * 1.5 + 0.3 * grid
        light += weight * F.interpolate(grid, (side, 2 * side), mode="bicubic")
    return light[0].permute(1, 2, 0).exp()


def eight_bits(linear: Tensor) -> Tensor:
    coded = 1.055 * linear.clamp(0, 1) ** (1 / 2.4) - 0.055
    coded = torch.where(linear <= 0.0031308, 12.92 * linear.clamp(min=0), coded)
    code = (coded * 255).round() / 255
    return torch.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def level(light: Tensor, part: float) -> Tensor:
    """About the quantile of all values."""
    return light[::4, ::4].flatten()[::7].quantile(part)


def clipped(light: Tensor) -> Tensor:
    return eight_bits(light / level(light, 0.9))


def bent(light: Tensor) -> Tensor:
    return eight_bits(1 - torch.exp(-light / level(light, 0.75)))


def test_there_is_a_number_for_every_name() -> None:
    assert len(clues(clipped(scene()), 1.0)) == len(NAMES) == 24


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 1), (2, 2), (64, 1500)])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, -1.0, 30.0])
def test_every_picture_has_finite_clues(shape: tuple[int, int], value: float) -> None:
    assert all(math.isfinite(clue) for clue in clues(torch.full((*shape, 3), value), 1.0))


def test_they_are_relative_to_white() -> None:
    rgb = bent(scene())
    assert clues(rgb * 0.25, 0.25) == pytest.approx(clues(rgb, 1.0))


def test_the_order_of_the_channels_and_mirroring_do_not_matter() -> None:
    rgb = bent(scene())
    expected = clues(rgb, 1.0)
    assert clues(rgb[..., [2, 0, 1]], 1.0) == pytest.approx(expected)
    assert clues(rgb.flip(0, 1), 1.0) == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("render", [clipped, bent])
def test_a_large_picture_and_its_reduction_show_the_same(render: object, factor: int) -> None:
    assert callable(render)
    large = render(scene(SIDE * factor // 2))
    small = F.interpolate(large.permute(2, 0, 1)[None], scale_factor=1 / factor, mode="area")[0]
    whole = ToneStatistics.of(large)
    reduced = ToneStatistics.of(eight_bits(small.permute(1, 2, 0)).contiguous())
    assert reduced.clipped == pytest.approx(whole.clipped, abs=0.03)
    assert reduced.curve.log_gains == pytest.approx(whole.curve.log_gains, abs=0.05)


def test_a_clip_and_a_shoulder_are_told_apart() -> None:
    light = scene()
    of_clip, of_bend = ToneStatistics.of(clipped(light)), ToneStatistics.of(bent(light))
    assert of_clip.clipped > 0.5 > of_bend.clipped


def test_the_picture_is_left_as_it_was() -> None:
    rgb = bent(scene())
    before = rgb.clone()
    clues(rgb, 1.0)
    assert torch.equal(rgb, before)
