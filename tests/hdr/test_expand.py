"""hdr_boost: nothing below the knee, `boost` at the peak, one smooth monotone curve between and beyond."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from luxscaler.color import decode_srgb, encode_srgb
from luxscaler.errors import InputError
from luxscaler.geometry import TileBox
from luxscaler.hdr import expand as expand_module
from luxscaler.hdr.curve import KNOT_CODES
from luxscaler.hdr.dequantize import RADIUS
from luxscaler.hdr.expand import DEVICE_ROWS, KNEE, ROWS, ToneStatistics, expand, gain
from luxscaler.options import check_boost

boosts = st.floats(1, 49)
peaks = st.floats(0.05, 20)
seeded = settings(derandomize=True, deadline=None, max_examples=20)


def knee_of(peak: float) -> float:
    """The linear value at which the gain starts."""
    return float(((KNEE + 0.055) / 1.055) ** 2.4) * peak


def grey(values: Tensor) -> Tensor:
    """1×n×3 of equal channels."""
    return values[None, :, None].expand(1, -1, 3).contiguous()


def curve(values: Tensor, boost: float, peak: float) -> Tensor:
    """What becomes of grey values."""
    return expand(grey(values), boost, ToneStatistics(peak))[0, :, 1]


def picture(peak: float = 1.0) -> Tensor:
    """A picture of 300 × 20 whose brightest channel is `peak`, with some negative values."""
    rgb = torch.rand(300, 20, 3, generator=torch.Generator().manual_seed(1)) * peak * 1.02 - 0.02 * peak
    rgb[7, 9, 2] = peak
    return rgb.clamp(max=peak)


def slope(value: float, step: float, boost: float, peak: float) -> float:
    pair = torch.tensor([value, value + step], dtype=torch.float64)
    return float(curve(pair, boost, peak).diff()) / step


def test_boost_one_returns_the_picture_itself() -> None:
    rgb = picture(3.0)
    assert expand(rgb, 1.0, ToneStatistics.of(rgb)) is rgb


def test_a_black_picture_stays_black() -> None:
    rgb = torch.zeros(3, 4, 3)
    assert torch.equal(expand(rgb, 8.0, ToneStatistics.of(rgb)), rgb)
    below = torch.full((3, 4, 3), -0.5)
    assert ToneStatistics.of(below).peak == 0.0
    assert torch.equal(expand(below, 8.0, ToneStatistics.of(below)), below)


@seeded
@given(boosts, peaks)
def test_the_knee_and_below_stay_as_they_are(boost: float, peak: float) -> None:
    values = torch.linspace(-1.0, knee_of(peak), 200)
    torch.testing.assert_close(curve(values, boost, peak), values, rtol=0, atol=1e-6)


def test_well_below_the_knee_every_bit_stays() -> None:
    rgb = picture() * 0.2
    assert torch.equal(expand(rgb, 49.0, ToneStatistics(1.0)), rgb)


@seeded
@given(boosts, peaks)
def test_the_peak_goes_to_boost_times_the_peak(boost: float, peak: float) -> None:
    top = curve(torch.tensor([peak], dtype=torch.float64), boost, peak)
    assert float(top) == pytest.approx(boost * peak, rel=1e-9)


def test_the_peak_of_a_picture_becomes_the_boost() -> None:
    rgb = picture(1.0)
    result = expand(rgb, 7.5, ToneStatistics.of(rgb))
    assert float(result.max()) == pytest.approx(7.5, rel=1e-4)


@seeded
@given(boosts, peaks)
def test_the_curve_is_monotone(boost: float, peak: float) -> None:
    values = torch.linspace(0, 2 * peak, 4001, dtype=torch.float64)
    assert bool((curve(values, boost, peak).diff() > 0).all())


@seeded
@given(boosts, peaks)
def test_the_curve_is_continuous_in_value_and_slope(boost: float, peak: float) -> None:
    step = 1e-6 * peak
    for value, expected in ((knee_of(peak), 1.0), (peak, boost)):
        before, after = slope(value, -step, boost, peak), slope(value, step, boost, peak)
        assert before == pytest.approx(after, rel=1e-3)
        assert before == pytest.approx(expected, rel=1e-3)
    for knot in KNOT_CODES:
        value = float(((knot + 0.055) / 1.055) ** 2.4) * peak
        before, after = slope(value, -step, boost, peak), slope(value, step, boost, peak)
        assert before == pytest.approx(after, rel=1e-2), "a kink"


@seeded
@given(boosts)
def test_contrast_grows_by_the_boost(boost: float) -> None:
    dark, bright = curve(torch.tensor([0.01, 1.0], dtype=torch.float64), boost, 1.0).tolist()
    assert bright / dark == pytest.approx(100 * boost, rel=1e-9)


def test_the_knee_is_half_of_white_in_srgb_code() -> None:
    values = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    lifted = values[gain(values, 49.0, ToneStatistics(1.0)) > 1.0 + 1e-9]
    assert encode_srgb(lifted[:1].numpy())[0] == pytest.approx(KNEE, abs=0.01)
    assert knee_of(1.0) == pytest.approx(float(decode_srgb(torch.tensor([KNEE]).numpy())[0]), rel=1e-5)


def test_hue_is_kept() -> None:
    rgb = picture(2.0)
    result = expand(rgb, 10.0, ToneStatistics.of(rgb))
    # Same direction in RGB: the cross product vanishes.
    cross = torch.linalg.cross(rgb.double(), result.double())
    scale = rgb.double().norm(dim=2) * result.double().norm(dim=2)
    assert float((cross.norm(dim=2) / scale.clamp(min=1e-12)).max()) < 1e-6


def test_negatives_keep_their_sign() -> None:
    rgb = torch.tensor([[[0.9, -0.1, 0.2], [-0.3, -0.2, -0.1], [1.0, 0.0, -0.05]]])
    result = expand(rgb, 20.0, ToneStatistics(1.0))
    assert torch.equal(result.sign(), rgb.sign())
    assert torch.equal(result[0, 1], rgb[0, 1])


def test_the_brightest_channel_decides() -> None:
    blue = torch.tensor([[[0.0, 0.0, 1.0]]])
    torch.testing.assert_close(expand(blue, 4.0, ToneStatistics(1.0)), 4.0 * blue)


def test_tiles_with_shared_statistics_equal_the_whole() -> None:
    """Within RADIUS of a cut the gain sees other neighbours, and they move it by half a code at most."""
    rgb = picture(1.7)
    assert rgb.shape[0] > ROWS
    rgb[50:250, 3:18] = 1.0  # a clipped area that the tiles share
    statistics = ToneStatistics.of(rgb)
    assert statistics.dome is not None
    whole = expand(rgb, 4.93, statistics)
    for top, bottom in ((0, 100), (100, 300)):
        box = TileBox(0.0, top / 300, 1.0, (bottom - top) / 300)
        tile = expand(rgb[top:bottom].contiguous(), 4.93, statistics, box)
        inner = slice(RADIUS if top else 0, bottom - top - (0 if bottom == 300 else RADIUS))
        torch.testing.assert_close(tile[inner], whole[top:bottom][inner], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(tile, whole[top:bottom], rtol=0.05, atol=1e-5)


@pytest.mark.parametrize("rows", [RADIUS, 37, ROWS, DEVICE_ROWS])
def test_in_place_it_is_the_same_bit_for_bit_and_bands_do_not_show(
    monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    rgb = picture()
    rgb[100:140] = 1.0  # a clipped area, so that there are domes
    statistics = ToneStatistics.of(rgb)
    assert statistics.dome is not None
    before, usual = rgb.clone(), expand(rgb, 6.0, statistics)
    assert torch.equal(rgb, before)
    monkeypatch.setattr(expand_module, "ROWS", rows)
    expected = expand(rgb, 6.0, statistics)
    torch.testing.assert_close(expected, usual, rtol=1e-6, atol=0.0)
    assert expand(rgb, 6.0, statistics, in_place=True) is rgb
    assert torch.equal(rgb, expected)


def test_bands_of_rows_leave_no_seam() -> None:
    """A smooth ramp across the rows at which expand() works piece by piece."""
    ramp = torch.linspace(0.5, 1.0, 2 * ROWS + 40)[:, None, None].expand(-1, 12, 3).contiguous()
    result = expand(ramp, 4.93, ToneStatistics(1.0))
    sideways = expand(ramp.transpose(0, 1).contiguous(), 4.93, ToneStatistics(1.0))
    torch.testing.assert_close(result, sideways.transpose(0, 1), rtol=1e-5, atol=0)


def test_a_clipped_area_rises_from_its_edge_to_the_ceiling() -> None:
    rgb = torch.full((120, 160, 3), 0.2)
    rgb[20:100, 30:130] = 1.0
    result = expand(rgb, 5.0, ToneStatistics.of(rgb))
    middle = result[60, 30:130, 0]
    assert float(result.max()) == pytest.approx(5.0, rel=1e-3)
    assert float(middle[50]) == float(middle.max())
    assert bool((middle[:50].diff() >= -1e-6).all())
    assert bool((middle[50:].diff() <= 1e-6).all())
    assert float(middle[:4].max()) < 2.0
    assert float(result[:15].max()) == pytest.approx(0.2)


def test_small_lights_reach_the_ceiling_as_they_are() -> None:
    rgb = torch.full((200, 200, 3), 0.1)
    for row, column in ((20, 30), (90, 150), (180, 80)):
        rgb[row, column] = 1.0
    result = expand(rgb, 6.0, ToneStatistics.of(rgb))
    for row, column in ((20, 30), (90, 150), (180, 80)):
        assert float(result[row, column, 0]) == pytest.approx(6.0, rel=0.02)


def test_without_a_place_there_are_no_domes() -> None:
    rgb = torch.full((64, 64, 3), 0.2)
    rgb[16:48, 16:48] = 1.0
    flat = expand(rgb, 5.0, ToneStatistics.of(rgb), None)[16:48, 16:48]
    assert float(flat.max()) == float(flat.min())


def test_out_of_gamut_colours_do_not_move_white() -> None:
    rgb = picture(1.0)
    rgb[3, 3] = torch.tensor([1.245, 1.0, -0.02])
    assert ToneStatistics.of(rgb).peak == 1.0
    assert ToneStatistics.of(rgb * 3.0).peak == pytest.approx(3.735)


def test_expand_leaves_its_input_as_it_was() -> None:
    rgb = picture()
    before = rgb.clone()
    expand(rgb, 5.0, ToneStatistics.of(rgb))
    assert torch.equal(rgb, before)


@pytest.mark.parametrize("boost", [float("nan"), 0, 0.99, -1, 49.01, 1000, float("inf")])
def test_boost_out_of_range_is_an_error_that_names_it(boost: float) -> None:
    message = rf"hdr_boost is {boost}; it must be from 1\.0 to 49\.0"
    with pytest.raises(InputError, match=message):
        check_boost(boost)
    with pytest.raises(InputError, match=message):
        expand(picture(), boost, ToneStatistics(1.0))
