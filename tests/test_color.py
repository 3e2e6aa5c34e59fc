"""Transfer functions and primaries against published values and properties."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from luxscaler import color
from luxscaler.color import DCI_P3, DISPLAY_P3, REC709, REC2020, Primaries
from luxscaler.errors import InputError

values = arrays(np.float64, 16, elements=st.floats(-40, 40))
chromaticity = st.tuples(st.floats(0.05, 0.7), st.floats(0.05, 0.8))


def test_srgb_has_its_published_values() -> None:
    coded = np.array([0.0, 0.04045, 0.5, 1.0])
    np.testing.assert_allclose(color.decode_srgb(coded), [0, 0.0031308, 0.2140411, 1], atol=1e-7)


def test_pq_has_its_published_values() -> None:
    # ITU-R BT.2408, table 1, and BT.2100: 100, 203, 1000 and 10 000 cd/m².
    linear = np.array([100, 203, 1000, 10000]) / 203
    np.testing.assert_allclose(color.encode_pq(linear), [0.5081, 0.5807, 0.7518, 1.0], atol=6e-5)


def test_hlg_at_75_percent_is_reference_white() -> None:
    # ITU-R BT.2408: 75 % HLG is 203 cd/m² on a display of 1000 cd/m²; 100 % is 1000.
    signal = np.array([0.0, 0.75, 1.0], np.float32)[:, None, None].repeat(3, axis=2)
    light = color.hlg_scene_to_display(color.decode_hlg_scene(signal).astype(np.float32))
    np.testing.assert_allclose(light[:, 0, 0] * 203, [0, 203, 1000], atol=0.6)


@given(values)
def test_srgb_round_trip(linear: np.ndarray) -> None:
    np.testing.assert_allclose(color.decode_srgb(color.encode_srgb(linear)), linear, rtol=1e-6, atol=1e-7)


@given(values)
def test_pq_round_trip(linear: np.ndarray) -> None:
    np.testing.assert_allclose(color.decode_pq(color.encode_pq(linear)), linear, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "curve",
    [
        color.decode_srgb,
        color.encode_srgb,
        color.decode_pq,
        color.encode_pq,
        color.decode_hlg_scene,
        lambda v: color.decode_gamma(v, 2.2),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_curves_are_odd_monotone_and_keep_the_dtype(
    curve: Callable[[color.Floats], color.Floats], dtype: type
) -> None:
    ramp: color.Floats = np.linspace(0, 1.5, 1001).astype(dtype)
    out = curve(ramp)
    assert out.dtype == dtype
    assert (np.diff(out) >= -1e-6).all()
    np.testing.assert_array_equal(curve(-ramp), -out)


def test_rec709_to_xyz_is_the_published_matrix() -> None:
    expected = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    np.testing.assert_allclose(color.rgb_to_xyz(REC709), expected, atol=1e-4)


def test_rec709_to_rec2020_is_the_published_matrix() -> None:
    # ITU-R BT.2087, M2.
    expected = [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
    np.testing.assert_allclose(color.rgb_to_rgb(REC709, REC2020), expected, atol=1e-4)


def test_bradford_d65_to_d50_is_the_published_matrix() -> None:
    # ICC.1:2022, annex E gives these for D65 to D50.
    expected = [[1.0479, 0.0229, -0.0502], [0.0296, 0.9904, -0.0171], [-0.0092, 0.0151, 0.7519]]
    np.testing.assert_allclose(color.bradford(color.D65, (0.3457, 0.3585)), expected, atol=5e-4)


@given(chromaticity, chromaticity, chromaticity, st.sampled_from([color.D65, DCI_P3.white, (0.3457, 0.3585)]))
def test_white_stays_white_and_the_way_back_exists(
    red: color.Point, green: color.Point, blue: color.Point, white: color.Point
) -> None:
    source = Primaries(red, green, blue, white)
    (ax, ay), (bx, by) = np.subtract(green, red), np.subtract(blue, red)
    if abs(ax * by - ay * bx) < 0.05:
        return  # a sliver of a gamut
    there, back = color.rgb_to_rgb(source), color.rgb_to_rgb(REC709, source)
    np.testing.assert_allclose(there @ np.ones(3), np.ones(3), atol=1e-6)
    np.testing.assert_allclose(back @ there, np.eye(3), atol=1e-6)


def test_apply_matrix_keeps_colours_outside_the_gamut() -> None:
    pure = np.eye(3, dtype=np.float32)[None]
    out = color.apply_matrix(pure, color.rgb_to_rgb(DISPLAY_P3))
    assert out.dtype == np.float32
    assert out.shape == (1, 3, 3)
    np.testing.assert_allclose(out[0, 0], [1.2249, -0.0420, -0.0196], atol=2e-4)


def test_a_gamut_without_area_is_refused() -> None:
    with pytest.raises(InputError, match="no gamut"):
        color.rgb_to_rgb(Primaries((0.3, 0.3), (0.3, 0.3), (0.3, 0.3)))
    with pytest.raises(InputError, match="y that is not 0"):
        color.rgb_to_rgb(Primaries((0.64, 0.33), (0.3, 0.6), (0.15, 0.06), (0.3, 0.0)))
