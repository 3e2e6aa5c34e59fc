"""The published expansions of evaluate-hdr: points that follow from their formulas by hand."""

import math

import numpy as np
import pytest

from evaluation.baselines import BASELINES, SMOOTH, UNTOUCHED
from evaluation.baselines.curves import akyuz, inverse_reinhard, landis, quartic, untouched
from evaluation.baselines.local import (
    banterle,
    cross_bilateral,
    durand_dorsey_inverse,
    expand_map,
    kovaleski_oliveira,
    median_cut,
)
from evaluation.baselines.standards import (
    blend,
    bt2446_a,
    bt2446_c,
    libplacebo_bt2446a,
    libplacebo_spline,
    method_c,
)
from evaluation.blur import blurred
from evaluation.expansion import Expansion
from luxscaler.color import decode_pq, decode_srgb, luminance
from luxscaler.picture import FloatArray

P = 4.93


def greys(*values: float) -> FloatArray:
    """A picture of one row."""
    return np.asarray(values, np.float32)[None, :, None].repeat(3, 2)


def out_of(picture: FloatArray) -> list[float]:
    return [float(v) for v in picture[0, :, 1]]


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_keeps_shape_type_and_black_and_is_finite(name: str) -> None:
    sdr = np.random.default_rng(1).random((24, 40, 3), np.float32)
    sdr[0, 0], sdr[0, 1] = 0, 1
    result = BASELINES[name](sdr, P)
    assert result.shape == sdr.shape
    assert result.dtype == np.float32
    assert np.isfinite(result).all()
    assert np.abs(result[0, 0]).max() == 0


@pytest.mark.sample(12)
@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_flat_pictures_do_not_break_any(name: str, value: float) -> None:
    assert np.isfinite(BASELINES[name](np.full((8, 8, 3), value, np.float32), P)).all()


@pytest.mark.parametrize("name", sorted(name for name in BASELINES if SMOOTH not in name))
def test_hue_is_kept(name: str) -> None:
    sdr = np.array([[[0.8, 0.4, 0.2], [0.1, 0.1, 0.1], [1, 1, 1]]], np.float32)
    result = BASELINES[name](sdr, P)[0, 0]
    np.testing.assert_allclose(result / result[0], [1, 0.5, 0.25], rtol=1e-5)


def test_untouched_is_the_sdr() -> None:
    assert untouched(greys(0.2, 1), P).tolist() == greys(0.2, 1).tolist()


def test_landis() -> None:
    """At 0.75 the weight is ((0.75 − 0.5)/0.5)² = 1/4."""
    assert out_of(landis(greys(0.3, 0.5, 0.75, 1), P)) == pytest.approx([0.3, 0.5, 0.75 * (0.75 + P / 4), P])


def test_akyuz_stretches_from_the_darkest_to_the_brightest() -> None:
    assert out_of(akyuz(greys(0.1, 0.55, 1), P)) == pytest.approx([0, P / 2, P], abs=1e-5)


def test_banterle_inverts_reinhard() -> None:
    light = np.linspace(0, 1, 9, dtype=np.float32)
    scene = inverse_reinhard(light, P)
    np.testing.assert_allclose(scene * (1 + scene / P**2) / (1 + scene), light, atol=1e-6)
    assert float(scene[-1]) == pytest.approx(P, rel=1e-6)


def test_banterle_expands_where_light_is_and_nowhere_else() -> None:
    sdr = np.full((64, 128, 3), 0.001, np.float32)
    sdr[30:34, 20:24] = 1
    result = banterle(sdr, P)
    assert float(result.max()) == pytest.approx(P, rel=0.25)
    np.testing.assert_allclose(result[:, 64:], sdr[:, 64:], rtol=0.02)
    assert float(expand_map(luminance(sdr), 0.03).max()) == 1


def test_median_cut_halves_the_power_and_keeps_the_sum() -> None:
    light = np.random.default_rng(2).random((32, 64))
    found = median_cut(light, 4)
    powers = [power for _, _, power in found]
    assert len(found) == 16
    assert math.fsum(powers) == pytest.approx(light.sum())
    assert max(powers) < 1.5 * min(powers)


def test_kovaleski_oliveira_gives_the_peak_to_saturated_areas_and_a_quarter_of_it_to_the_rest() -> None:
    """e is 1 inside a large saturated area and 0 far from it in luma; the gain is P(3e + 1)/4."""
    sdr = np.full((32, 64, 3), 0.1, np.float32)
    sdr[:, 32:] = 1
    result = kovaleski_oliveira(sdr, P)
    assert float(result[16, 60, 0]) == pytest.approx(P, rel=1e-3)
    assert float(result[16, 4, 0]) == pytest.approx(0.1 * P / 4, rel=1e-3)


def test_the_bilateral_grid_is_near_the_filter_that_it_stands_for() -> None:
    random = np.random.default_rng(4)
    guide = np.clip(blurred(random.random((24, 24)), (2.0, 2.0)), 0, 1).astype(np.float32)
    mask = (random.random((24, 24)) > 0.7).astype(np.float64)
    rows, columns = np.indices(guide.shape).reshape(2, -1)
    flat = guide.ravel().astype(np.float64)
    squared = ((rows[:, None] - rows) ** 2 + (columns[:, None] - columns) ** 2) / 4.0**2
    weight = np.exp(-0.5 * (squared + ((flat[:, None] - flat) / 0.1) ** 2))
    exact = (weight @ mask.ravel() / weight.sum(1)).reshape(guide.shape)
    assert float(np.abs(cross_bilateral(mask, guide, 4.0, 0.1) - exact).mean()) < 0.03


def test_method_a_maps_white_to_1000_cd_m2() -> None:
    white, black = out_of(bt2446_a(greys(1, 0), 1000 / 203))
    assert white * 203 == pytest.approx(1000, rel=2e-3)
    assert black == 0


def test_method_a_at_its_knee() -> None:
    """Both quadratics at Y'' = 70 by hand, for a grey of (70/255)^2.4."""
    exponents = (
        (1.8712e-5 * 70 - 2.7334e-3) * 70 + 1.3141,
        (2.8305e-6 * 70 - 7.4622e-4) * 70 + 1.2528,
    )
    assert exponents[0] == pytest.approx(exponents[1], abs=2e-3)
    (grey,) = out_of(bt2446_a(greys((70 / 255) ** 2.4), 1000 / 203))
    assert grey * 203 == pytest.approx(1000 * (70 ** exponents[0] / 1000) ** 2.4, rel=0.02)


def test_libplacebo_s_method_a_is_the_report_s_on_greys_and_keeps_hue() -> None:
    picture = greys(0.02, 0.3, 1)
    np.testing.assert_allclose(libplacebo_bt2446a(picture, P), bt2446_a(picture, P), rtol=5e-3)


def test_libplacebo_s_spline() -> None:
    """By hand: white is 0.5807 of PQ, so the pivot is 0.4 of it; at 1000 cd/m² it moves by 0.4 of the way."""
    pivot = 0.4 * 0.58069
    raised = pivot + 0.4 * (0.4 * 0.75183 - pivot)
    at, wanted = decode_pq(np.array([pivot, raised]))
    low, grey, white = out_of(libplacebo_spline(greys(0, float(at), 1), 1000 / 203))
    assert (low, white) == pytest.approx((0, 1000 / 203), rel=1e-5)
    assert grey == pytest.approx(float(wanted), rel=1e-3)
    ramp = libplacebo_spline(np.linspace(0, 1, 256, dtype=np.float32)[None, :, None].repeat(3, 2), 8)
    assert (np.diff(ramp[0, :, 0]) > 0).all()


@pytest.mark.parametrize("expansion", [libplacebo_spline, durand_dorsey_inverse])
def test_at_a_boost_of_1_nothing_is_expanded(expansion: Expansion) -> None:
    picture = np.random.default_rng(6).random((16, 16, 3), np.float32)
    np.testing.assert_allclose(expansion(picture, 1.0), picture, rtol=1e-6)


def test_blends_lie_between_their_ends_in_light() -> None:
    picture = np.random.default_rng(7).random((4, 5, 3), np.float32)
    np.testing.assert_allclose(
        blend(picture, P, 0.25), 0.75 * picture + 0.25 * bt2446_a(picture, P), rtol=1e-4
    )
    assert [name for name in BASELINES if name.endswith(f"% {SMOOTH}")] == [
        f"{share} % {SMOOTH}" for share in (25, 50, 75)
    ]
    assert BASELINES[UNTOUCHED] is untouched


def test_the_inverse_of_a_local_tone_map_lifts_whole_areas_and_keeps_their_detail() -> None:
    """A large area at 0.5 is multiplied by (0.5/0.18)^(stretch − 1); its texture is not stretched."""
    sdr = np.full((64, 128, 3), 0.05, np.float32)
    texture = 1 + 0.1 * np.where(np.indices((64, 64)).sum(0) % 2 == 0, 1, -1)[..., None]
    sdr[:, 64:] = 0.5 * texture
    result = durand_dorsey_inverse(sdr, P)
    gain = result[:, 100:120] / sdr[:, 100:120]
    assert float(gain.mean()) == pytest.approx((0.5 / 0.18) ** (math.log(P) / -math.log(0.18)), rel=0.03)
    assert float(gain.max() / gain.min()) < 1.05
    np.testing.assert_allclose(result[:, :40], sdr[:, :40], rtol=1e-5)


def test_method_c_is_linear_then_exponential_and_continuous() -> None:
    below, above = method_c(np.array([58.4999, 58.5001], np.float32))
    assert float(below) == pytest.approx(58.5 / 0.83802, rel=1e-4)
    assert float(above) == pytest.approx(float(below), rel=5e-3)
    forward = 15.09968 * math.log(1000 / (58.5 / 0.83802) - 0.74204) + 78.99439
    assert float(method_c(np.array([forward], np.float32))[0]) == pytest.approx(1000, rel=1e-4)
    assert out_of(bt2446_c(greys(1), P))[0] * 203 == pytest.approx(332.4, abs=0.5)


def test_quartic() -> None:
    """At code 0.75 the gain is 1 + (P − 1)/16; the largest channel decides."""
    at = float(decode_srgb(np.array([0.75]))[0])
    assert out_of(quartic(greys(0.2, at, 1), P)) == pytest.approx([0.2, at * (1 + (P - 1) / 16), P], rel=1e-5)


def test_blur_keeps_the_sum_away_from_the_border_and_is_gaussian() -> None:
    point = np.zeros((41, 41))
    point[20, 20] = 1
    result = blurred(point, (3.0, 0.0))
    assert result.sum() == pytest.approx(1)
    assert result[23, 20] / result[20, 20] == pytest.approx(math.exp(-0.5))
    assert result[:, 21].max() == 0
