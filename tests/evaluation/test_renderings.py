"""The SDR renderings of evaluate-hdr: 8-bit, monotone, and the reference agrees where it should."""

import numpy as np
import pytest

from evaluation.renderings import (
    CAP_CD_M2,
    HABLE_WHITE,
    RENDERINGS,
    camera,
    filmic,
    hable,
    hable_inverse,
    hard_clip,
)
from luxscaler.color import encode_srgb, luminance
from luxscaler.picture import REFERENCE_WHITE_CD_M2, FloatArray

SMOOTH = sorted(set(RENDERINGS) - {"JPEG 85"})


def ramp() -> FloatArray:
    """Greys from 0.001 to 30, rising from left to right; 8 rows."""
    return np.repeat(np.geomspace(1e-3, 30, 400, dtype=np.float32)[None, :, None], 8, 0).repeat(3, 2)


def scene(height: int = 32, width: int = 48) -> FloatArray:
    """Coloured noise over many stops."""
    return np.exp(np.random.default_rng(5).normal(-1, 1.5, (height, width, 3))).astype(np.float32)


@pytest.mark.parametrize("name", RENDERINGS)
def test_sdr_lies_on_the_8_bit_grid_and_the_reference_is_capped(name: str) -> None:
    made = RENDERINGS[name](scene())
    codes = encode_srgb(made.sdr) * 255
    np.testing.assert_allclose(codes, np.round(codes), atol=2e-3)
    assert made.sdr.dtype == made.reference.dtype == np.float32
    assert made.sdr.shape == made.reference.shape == (32, 48, 3)
    assert 0 <= made.sdr.min() <= made.sdr.max() <= 1
    assert made.reference.min() >= 0
    assert luminance(made.reference).max() <= CAP_CD_M2 / REFERENCE_WHITE_CD_M2 * (1 + 1e-6)


@pytest.mark.parametrize("name", SMOOTH)
def test_renderings_are_monotone(name: str) -> None:
    made = RENDERINGS[name](ramp())
    assert (np.diff(made.sdr[0, :, 1]) >= 0).all()
    assert (np.diff(made.reference[0, :, 1]) >= -1e-6).all()  # the cap is a division


@pytest.mark.parametrize("name", RENDERINGS)
def test_the_scale_of_the_file_does_not_matter(name: str) -> None:
    one, other = RENDERINGS[name](scene()), RENDERINGS[name](scene() * np.float32(2**7))
    # An 8-bit code may round the other way.
    np.testing.assert_allclose(encode_srgb(one.sdr), encode_srgb(other.sdr), atol=1.01 / 255)
    np.testing.assert_allclose(one.reference, other.reference, rtol=2e-2)


@pytest.mark.parametrize("name", RENDERINGS)
def test_a_black_picture_stays_black(name: str) -> None:
    made = RENDERINGS[name](np.zeros((16, 16, 3), np.float32))
    assert made.sdr.max() == made.reference.max() == 0


def test_hard_clip_has_its_white_at_the_95th_percentile_of_luminance() -> None:
    made = hard_clip(ramp())
    assert float((made.sdr[..., 1] == 1).mean()) == pytest.approx(0.05, abs=0.005)
    below = made.reference[..., 1] < 0.99
    np.testing.assert_allclose(
        encode_srgb(made.sdr)[below], encode_srgb(made.reference)[below], atol=0.51 / 255
    )


def test_the_camera_is_a_stop_darker_linear_below_its_knee_and_has_a_shoulder() -> None:
    made, clipped = camera(ramp()), hard_clip(ramp())
    dark = made.reference[..., 1] < 0.39
    np.testing.assert_allclose(
        encode_srgb(made.sdr)[dark], encode_srgb(made.reference)[dark], atol=0.51 / 255
    )
    np.testing.assert_allclose(made.reference[dark], clipped.reference[dark] / 2, rtol=1e-5)
    assert float((made.sdr[..., 1] == 1).mean()) < 0.05
    bright = made.reference[..., 1] > 0.5
    assert (made.sdr[..., 1][bright] < made.reference[..., 1][bright]).all()


def test_hable_has_the_points_of_its_author() -> None:
    """f(11.2) is his white; f at 1 computed by hand: (0.2+0.004)/(0.65+0.06) − 1/15, over f(11.2)."""
    at_one = (1 * (0.15 + 0.05) + 0.004) / (1 * (0.15 + 0.5) + 0.06) - 0.02 / 0.30
    at_white = (11.2 * (0.15 * 11.2 + 0.05) + 0.004) / (11.2 * (0.15 * 11.2 + 0.5) + 0.06) - 0.02 / 0.30
    points = hable(np.array([0, 1, HABLE_WHITE], np.float32))
    np.testing.assert_allclose(points, [0, at_one / at_white, 1], atol=1e-6)


@pytest.mark.parametrize("rendered", [0.01, 0.18, 0.5, 0.9, 1.0])
def test_the_inverse_of_hable_is_its_inverse(rendered: float) -> None:
    assert float(hable(np.array([hable_inverse(rendered)], np.float32))[0]) == pytest.approx(
        rendered, abs=1e-5
    )


def test_the_filmic_median_is_mid_grey_in_both() -> None:
    made = filmic(ramp())
    assert float(np.median(luminance(made.sdr))) == pytest.approx(0.18, abs=0.005)
    assert float(np.median(luminance(made.reference))) == pytest.approx(0.18, abs=0.005)
