"""Small pictures for the compare page: averages stay, samples come back, detail is found."""

import base64
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from luxscaler.picture import Picture
from luxscaler.report.previews import (
    DETAIL_SIDE,
    MANTISSA_BITS,
    choose_details,
    encode_picture,
    reduce_picture,
)


def _noise(height: int, width: int, channels: int = 3, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((height, width, channels), np.float32)


def decode(text: str, width: int, height: int, channels: int) -> NDArray[np.float32]:
    """What report.js does, sample by sample: (height, width, channels)."""
    data = zlib.decompress(base64.b64decode(text))
    count = width * height * channels
    assert len(data) == 2 * count
    codes = np.zeros((channels, height + 1, width + 1), np.int64)
    for place in range(count):
        plane, inside = divmod(place, width * height)
        y, x = divmod(inside, width)
        folded = data[place] | data[count + place] << 8
        left, upper, corner = codes[plane, y + 1, x], codes[plane, y, x + 1], codes[plane, y, x]
        low, high = min(left, upper), max(left, upper)
        predicted = min(max(left + upper - corner, low), high)
        codes[plane, y + 1, x + 1] = predicted + ((folded >> 1) ^ -(folded & 1))
    halves = (codes[:, 1:, 1:] << (10 - MANTISSA_BITS)).astype(np.uint16).view(np.float16)
    return np.moveaxis(halves, 0, 2).astype(np.float32)


def test_samples_come_back_as_rounded_half_floats() -> None:
    rgb = (_noise(23, 31) - 0.1) * 2.0 ** np.arange(-9, 14, dtype=np.float32)[:, None, None]
    back = decode(encode_picture(Picture(rgb)), 31, 23, 3)
    # One step of the mantissa, rounded, after half's own rounding; below the normal numbers steps are even.
    limit = np.maximum(np.abs(rgb) * 2.0 ** -(MANTISSA_BITS + 1) * 1.3, 2.0**-23)
    assert (np.abs(back - rgb) <= limit).all()


def test_alpha_travels_as_a_fourth_plane() -> None:
    alpha = _noise(7, 5)[..., 0]
    picture = Picture(_noise(7, 5), alpha)
    back = decode(encode_picture(picture), 5, 7, 4)
    np.testing.assert_allclose(back[..., 3], alpha, atol=0.002)
    np.testing.assert_allclose(back[..., :3], picture.rgb, atol=0.002)


def test_light_beyond_half_floats_stays_finite() -> None:
    rgb = np.array([[[1e9, -1e9, 70000.0]]], np.float32)
    assert np.isfinite(decode(encode_picture(Picture(rgb)), 1, 1, 3)).all()


def test_a_small_picture_is_not_touched() -> None:
    picture = Picture(_noise(10, 20))
    assert reduce_picture(picture) is picture


def test_whole_factors_average_blocks() -> None:
    rgb = _noise(40, 60)
    small = reduce_picture(Picture(rgb), 20 * 30)
    np.testing.assert_allclose(small.rgb, rgb.reshape(20, 2, 30, 2, 3).mean((1, 3)), rtol=1e-5)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 400))
def test_any_size_keeps_its_light(width: int, height: int, pixels: int) -> None:
    rgb = _noise(height, width)
    small = reduce_picture(Picture(rgb), pixels)
    assert small.width * small.height <= max(pixels, 1)
    assert small.rgb.mean() == pytest.approx(float(rgb.mean()), rel=1e-4)


def test_a_long_strip_is_reduced_too() -> None:
    strip = reduce_picture(Picture(np.ones((1, 505, 3), np.float32)), 500)
    assert (strip.width, strip.height) == (500, 1)


def test_transparent_pixels_lend_no_colour() -> None:
    rgb = np.ones((2, 2, 3), np.float32)
    rgb[:, 1] = 100
    alpha = np.array([[1, 0], [1, 0]], np.float32)
    small = reduce_picture(Picture(rgb, alpha), 1)
    assert small.alpha is not None
    assert small.alpha[0, 0] == pytest.approx(0.5)
    np.testing.assert_allclose(small.rgb[0, 0], 1, rtol=1e-6)


def test_details_are_where_the_picture_is_rich() -> None:
    rgb = np.full((300, 400, 3), 0.2, np.float32)
    rgb[200:240, 300:340] = _noise(40, 40)
    rgb[20:60, 40:80] = 0.1 + 0.1 * _noise(40, 40)
    size = (3200, 2400)
    boxes = choose_details(Picture(rgb), size)
    assert boxes[0] == pytest.approx((300 / 400, 200 / 300, 0.1, DETAIL_SIDE / 2400), abs=0.02)
    assert boxes[1] == pytest.approx((40 / 400, 20 / 300, 0.1, DETAIL_SIDE / 2400), abs=0.02)
    assert len(boxes) == 2  # the rest is flat
    for x, y, width, height in boxes:
        assert (width * 3200, height * 2400) == (DETAIL_SIDE, DETAIL_SIDE)
        assert x * 3200 == pytest.approx(round(x * 3200))
        assert y * 2400 == pytest.approx(round(y * 2400))
        assert x + width <= 1
        assert y + height <= 1


def test_details_lie_apart() -> None:
    boxes = choose_details(Picture(_noise(500, 500)), (4000, 4000))
    assert len(boxes) == 4
    for index, one in enumerate(boxes):
        for other in boxes[index + 1 :]:
            assert max(abs(one[0] - other[0]), abs(one[1] - other[1])) >= DETAIL_SIDE / 4000


def test_a_tiny_result_is_one_detail() -> None:
    assert choose_details(Picture(_noise(20, 30)), (30, 20)) == ((0.0, 0.0, 1.0, 1.0),)
    assert choose_details(Picture(np.zeros((1, 1, 3), np.float32)), (1, 1)) == ((0.0, 0.0, 1.0, 1.0),)
