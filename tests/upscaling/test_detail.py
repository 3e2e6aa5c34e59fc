"""Fractality: it tilts the spectrum above the source's Nyquist limit by log2(f); the source sees nothing."""

import math
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from luxscaler.errors import InputError
from luxscaler.options import check_fractality
from luxscaler.upscaling.detail import octave_gain, shape_detail
from tests.support.examples import examples
from tests.support.slow import slow

SIDE = 256
SOURCE_LIMIT = 1e-3
"""How much a source pixel may change, in linear light."""
seeded = settings(derandomize=True, deadline=None, max_examples=examples(15))


@cache
def texture(slope: float, *, contrast: float = 0.08, height: int = SIDE, width: int = SIDE) -> Tensor:
    """Noise about 0.5 whose amplitude spectrum falls with that slope, three different channels."""
    down, across = np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij")
    frequency = np.hypot(down, across)
    frequency[0, 0] = 1.0
    noise = np.random.default_rng(5).standard_normal((3, height, width))
    shaped = np.fft.ifft2(np.fft.fft2(noise) * frequency**slope).real
    shaped *= contrast / shaped.std()
    return torch.from_numpy((shaped + 0.5).astype(np.float32).transpose(1, 2, 0).copy())


def spectrum(rgb: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Radial frequencies in cycles per pixel and the amplitudes there, under a Hann window."""
    plane = rgb[..., 1].double().numpy()
    window = np.hanning(plane.shape[0])[:, None] * np.hanning(plane.shape[1])
    amplitude = np.abs(np.fft.fft2((plane - plane.mean()) * window))
    down, across = np.meshgrid(*(np.fft.fftfreq(side) for side in plane.shape), indexing="ij")
    return np.hypot(down, across), amplitude


def spectral_slope(rgb: Tensor, scale: int) -> float:
    """Slope of log amplitude over log frequency from the source's Nyquist limit to half a cycle per pixel."""
    frequency, amplitude = spectrum(rgb)
    edges = np.geomspace(0.5 / scale, 0.5, 13)
    bands = [(frequency >= low) & (frequency < high) for low, high in pairwise(edges)]
    level = [np.sqrt((amplitude[band] ** 2).mean()) for band in bands]
    middle = np.sqrt(edges[:-1] * edges[1:])
    return float(np.polyfit(np.log2(middle), np.log2(level), 1)[0])


def seen_by_source(rgb: Tensor, size: tuple[int, int]) -> Tensor:
    """The picture averaged over the source's pixels."""
    return F.interpolate(rgb.permute(2, 0, 1)[None], size, mode="area")


def change_for_source(before: Tensor, after: Tensor, size: tuple[int, int]) -> float:
    return float((seen_by_source(after, size) - seen_by_source(before, size)).abs().max())


def test_fractality_one_returns_the_picture_itself() -> None:
    rgb = texture(-1.0)
    assert shape_detail(rgb, (64, 64), 1.0) is rgb


@pytest.mark.parametrize("size", [(SIDE, SIDE), (2 * SIDE, SIDE)])
def test_a_picture_no_larger_than_its_source_comes_back_itself(size: tuple[int, int]) -> None:
    rgb = texture(-1.0)
    assert shape_detail(rgb, size, 2.0) is rgb


@pytest.mark.parametrize("fractality", [0.5, 1.2, 2.0, *slow(0.8, 1.5)])
@pytest.mark.parametrize("base", [-1.0, *slow(-0.6, -1.6)])
@pytest.mark.parametrize("scale", [4, *slow(2)])
def test_the_spectral_slope_moves_by_log2_of_fractality(scale: int, base: float, fractality: float) -> None:
    rgb = texture(base)
    result = shape_detail(rgb, (SIDE // scale, SIDE // scale), fractality)
    moved = spectral_slope(result, scale) - spectral_slope(rgb, scale)
    assert moved == pytest.approx(math.log2(fractality), rel=0.15)


@pytest.mark.parametrize("fractality", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("scale", [4, *slow(2)])
def test_what_the_source_determined_stays(scale: int, fractality: float) -> None:
    rgb = texture(-1.0)
    result = shape_detail(rgb, (SIDE // scale, SIDE // scale), fractality)
    frequency, before = spectrum(rgb)
    _, after = spectrum(result)
    low = (frequency > 0) & (frequency < 0.25 / scale)
    np.testing.assert_allclose(after[low].mean(), before[low].mean(), rtol=0.01)


@pytest.mark.sample(2)
@pytest.mark.parametrize("fractality", [0.0, 0.5, 2.0, *slow(0.8, 1.2, 1.5)])
@pytest.mark.parametrize("contrast", [0.08, 0.5])
@pytest.mark.parametrize("scale", [4, *slow(2)])
def test_the_source_would_notice_nothing(scale: int, contrast: float, fractality: float) -> None:
    # A contrast of 0.5 clips at black and white: the range must not be paid for with the averages.
    rgb = texture(-1.0, contrast=contrast).clamp(0.0, 1.0)
    size = (SIDE // scale, SIDE // scale)
    result = shape_detail(rgb, size, fractality)
    assert not torch.equal(result, rgb)
    assert change_for_source(rgb, result, size) <= SOURCE_LIMIT


def test_zero_takes_the_detail_away() -> None:
    rgb, scale = texture(-0.6), 4
    result = shape_detail(rgb, (SIDE // scale, SIDE // scale), 0.0)
    frequency, before = spectrum(rgb)
    _, after = spectrum(result)
    octave = (frequency > 0.25) & (frequency < 0.5)
    assert np.sqrt((after[octave] ** 2).mean()) < 0.05 * np.sqrt((before[octave] ** 2).mean())


def test_a_flat_picture_stays_flat() -> None:
    for value in (0.0, 0.3, 1.0):
        rgb = torch.full((40, 60, 3), value)
        for fractality in (0.0, 2.0):
            result = shape_detail(rgb, (10, 15), fractality)
            torch.testing.assert_close(result, rgb, rtol=0, atol=1e-5)


def test_opposite_edges_do_not_touch() -> None:
    # Black on the left, white on the right: a transform that wraps around would ring at both sides.
    rgb = torch.linspace(0.2, 0.8, 256)[None, :, None].expand(64, 256, 3).contiguous()
    result = shape_detail(rgb, (16, 64), 2.0)
    assert float((result - rgb).abs().max()) < 0.01


@pytest.mark.sample(2)
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.3, 0.9), (0.1, 6.0)])
@pytest.mark.parametrize("fractality", [2.0, *slow(0.0)])
def test_the_range_is_kept(low: float, high: float, fractality: float) -> None:
    rgb = texture(-0.6, contrast=0.4).clamp(0.0, 1.0) * (high - low) + low
    result = shape_detail(rgb, (64, 64), fractality)
    assert bool(torch.isfinite(result).all())
    assert float(result.min()) >= min(0.0, float(rgb.min()))
    assert float(result.max()) <= max(1.0, float(rgb.max()))


def test_channels_do_not_mix() -> None:
    rgb = texture(-1.0).clone()
    rgb[..., 2] = 0.5
    result = shape_detail(rgb, (64, 64), 2.0)
    torch.testing.assert_close(result[..., 2], rgb[..., 2], rtol=0, atol=1e-6)
    alone = shape_detail(rgb[..., :1].expand(-1, -1, 3).contiguous(), (64, 64), 2.0)
    torch.testing.assert_close(result[..., 0], alone[..., 0], rtol=0, atol=1e-6)


@seeded
@given(
    st.integers(1, 40), st.integers(1, 40), st.sampled_from([1.3, 2.0, 2.5, 3.7, 4.0]), st.floats(0.0, 2.0)
)
def test_any_size_and_scale(width: int, height: int, scale: float, fractality: float) -> None:
    size = (height, width)
    rgb = texture(-1.0, height=round(height * scale), width=round(width * scale))
    result = shape_detail(rgb, size, fractality)
    assert result.shape == rgb.shape
    assert bool(torch.isfinite(result).all())
    # At 1.3 a pixel of the result belongs to several of the source, and not all can be kept at once.
    assert change_for_source(rgb, result, size) <= (SOURCE_LIMIT if scale >= 2 else 3 * SOURCE_LIMIT)


def test_pictures_of_one_row_or_column() -> None:
    for height, width in ((1, 64), (64, 1), (1, 1)):
        rgb = texture(-1.0, height=4 * height, width=4 * width)
        for shape in (rgb, rgb[:1].contiguous(), rgb[:, :1].contiguous()):
            size = (max(shape.shape[0] // 4, 1), max(shape.shape[1] // 4, 1))
            result = shape_detail(shape, size, 2.0)
            assert result.shape == shape.shape
            assert change_for_source(shape, result, size) <= SOURCE_LIMIT


def test_shape_detail_leaves_its_input_as_it_was() -> None:
    rgb = texture(-1.0).clone()
    before = rgb.clone()
    shape_detail(rgb, (64, 64), 1.7)
    assert torch.equal(rgb, before)


def test_each_octave_is_multiplied_once_more() -> None:
    frequencies = torch.tensor([0.0, 0.5, 1.0, 2.0, 4.0, 8.0], dtype=torch.float64)
    for fractality in (0.5, 1.0, 1.2, 2.0):
        expected = [1.0, 1.0, *(fractality**octave for octave in range(4))]
        torch.testing.assert_close(
            octave_gain(frequencies, fractality), torch.tensor(expected, dtype=torch.float64)
        )
    assert octave_gain(frequencies, 0.0).tolist() == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("fractality", [float("nan"), -0.1, 2.1, float("inf")])
def test_fractality_out_of_range_is_an_error_that_names_it(fractality: float) -> None:
    message = rf"fractality is {fractality}; it must be from 0\.0 to 2\.0"
    with pytest.raises(InputError, match=message):
        check_fractality(fractality)
    with pytest.raises(InputError, match=message):
        shape_detail(texture(-1.0), (64, 64), fractality)


def test_in_place_gives_the_same_in_the_picture_s_own_memory() -> None:
    picture = texture(1.0)
    expected = shape_detail(picture, (SIDE // 4, SIDE // 4), 1.4)
    found = shape_detail(picture, (SIDE // 4, SIDE // 4), 1.4, in_place=True)
    assert found is picture
    assert torch.equal(found, expected)
