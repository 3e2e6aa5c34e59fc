"""Arrays to pictures: the laws of shape, type and coding."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from luxscaler.color import encode_srgb
from luxscaler.errors import PictureError
from luxscaler.io.arrays import ArrayCoding, from_array
from luxscaler.io.read import read_picture
from tests.support.examples import examples
from tests.support.picture_files import noise, png, tiff

TYPES = ["uint8", "uint16", "float16", "float32", "float64"]
sizes = array_shapes(min_dims=2, max_dims=2, max_side=6)
channels = st.sampled_from([(), (1,), (3,), (4,)])


@st.composite
def pictures(draw: st.DrawFn) -> NDArray[Any]:
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    values = st.integers(0, 255) if dtype.kind == "u" else st.sampled_from([0.0, 0.25, 0.5, 1.0])
    return draw(arrays(dtype, (*draw(sizes), *draw(channels)), elements=values))


@settings(max_examples=examples(25))
@given(pictures())
def test_height_and_width_stay_and_the_fourth_channel_is_alpha(array: NDArray[Any]) -> None:
    picture = from_array(array)
    assert picture.rgb.shape == (*array.shape[:2], 3)
    assert picture.rgb.dtype == np.float32
    assert picture.has_alpha == (array.shape[2:] == (4,))
    assert picture.source.is_float == (array.dtype.kind == "f")
    assert not np.shares_memory(picture.rgb, array)


@settings(max_examples=examples(25))
@given(pictures())
def test_alpha_by_itself_is_alpha_as_the_fourth_channel(array: NDArray[Any]) -> None:
    rgba = array if array.shape[2:] == (4,) else np.dstack([array, array, array, array])[..., :4]
    whole, parts = from_array(rgba), from_array(rgba[..., :3], alpha=rgba[..., 3])
    np.testing.assert_array_equal(whole.rgb, parts.rgb)
    assert whole.alpha is not None
    assert parts.alpha is not None
    np.testing.assert_array_equal(whole.alpha, parts.alpha)


@settings(max_examples=examples(25))
@given(pictures())
def test_grey_is_three_equal_channels(array: NDArray[Any]) -> None:
    grey = array if array.ndim == 2 else array[..., 0]
    flat, deep, rgb = from_array(grey), from_array(grey[..., None]), from_array(np.dstack([grey] * 3))
    np.testing.assert_array_equal(flat.rgb, rgb.rgb)
    np.testing.assert_array_equal(deep.rgb, rgb.rgb)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("count", [0, 3, 4])
def test_code_values_are_those_of_a_png(bits: int, count: int) -> None:
    array = noise(channels=count, bits=bits)
    ours, read = from_array(array), read_picture(png(array))
    np.testing.assert_array_equal(ours.rgb, read.rgb)
    assert (ours.alpha is None) == (read.alpha is None)
    if ours.alpha is not None and read.alpha is not None:
        np.testing.assert_array_equal(ours.alpha, read.alpha)
    assert (ours.source.bits, ours.source.is_float) == (bits, False)


def test_floats_are_linear_light_unbounded() -> None:
    light = np.array([[[-0.5, 0.0, 1.0], [2.0, 300.0, 1e-9]]], np.float32)
    np.testing.assert_array_equal(from_array(light).rgb, light)
    np.testing.assert_array_equal(from_array(light).rgb, read_picture(tiff(light, photometric="rgb")).rgb)


@pytest.mark.parametrize(
    ("array", "coding"),
    [
        (np.full((2, 2), 128, np.uint8), "srgb"),
        (np.full((2, 2), 128 / 255, np.float64), "srgb"),
        (np.full((2, 2, 3), encode_srgb(np.full(1, 0.25))[0], np.float32), "srgb"),
        (np.full((2, 2, 3), 0.25, np.float16), "linear"),
        (np.full((2, 2, 3), 51, np.uint8), "linear"),
    ],
)
def test_the_coding_can_be_said(array: NDArray[Any], coding: ArrayCoding) -> None:
    value = float(from_array(array, coding=coding).rgb[0, 0, 0])
    expected = {128: 0.2158605, 51: 0.2}.get(int(array.flat[0]) or int(array.flat[0] * 255), 0.25)
    assert value == pytest.approx(expected, rel=2e-6)


def test_other_byte_orders_and_views_are_read() -> None:
    array = noise(bits=16)
    np.testing.assert_array_equal(from_array(array.astype(">u2")).rgb, from_array(array).rgb)
    np.testing.assert_array_equal(from_array(array[::-1, ::2]).rgb, from_array(array).rgb[::-1, ::2])


SMALL = np.zeros((2, 3, 3), np.float32)


@pytest.mark.parametrize(
    ("array", "more", "text"),
    [
        (np.zeros((2, 3, 2), np.uint8), {}, r"1, 3 or 4 channels, got \(2, 3, 2\)"),
        (np.zeros((0, 3, 3), np.uint8), {}, "1, 3 or 4 channels"),
        (np.zeros(3, np.uint8), {}, "1, 3 or 4 channels"),
        (np.zeros((2, 3), np.int32), {}, "must be of uint8, .* got int32"),
        (np.zeros((2, 3), bool), {}, "got bool"),
        (np.full((2, 3), np.nan), {}, "the array must be finite, got 6 NaN or infinite of 6"),
        (np.full((2, 3), 1e39), {}, "must be finite"),
        (SMALL, {"alpha": np.full((2, 3), 1.5)}, "alpha must be 0 to 1, got 1.5"),
        (SMALL, {"alpha": np.full((2, 3), np.inf)}, "alpha must be finite"),
        (SMALL, {"alpha": np.zeros((3, 2))}, r"alpha must be 2 × 3, got \(3, 2\)"),
        (np.zeros((2, 3, 4)), {"alpha": np.zeros((2, 3))}, "given twice"),
        (SMALL, {"coding": "pq"}, "coding must be one of auto, srgb, linear, got 'pq'"),
    ],
)
def test_everything_else_is_a_clear_error(array: NDArray[Any], more: dict[str, Any], text: str) -> None:
    with pytest.raises(PictureError, match=text):
        from_array(array, **more)
