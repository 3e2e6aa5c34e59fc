"""A result reduced as its rows come: light stays, nothing rings, edges that meet still do."""

import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from luxscaler.geometry import NO_WRAP, Wrap
from luxscaler.picture import FloatArray
from luxscaler.tiling.reduction import Reduction
from luxscaler.tiling.strips import Strip, WholeRows
from tests.support.examples import examples

BOTH = Wrap(x=True, y=True)


def reduced(
    rgb: FloatArray,
    height: int,
    width: int,
    alpha: FloatArray | None = None,
    wrap: Wrap = NO_WRAP,
    step: int = 7,
) -> WholeRows:
    """In strips of `step` rows."""
    rows = WholeRows(height, width, has_alpha=alpha is not None, shows_both=True)
    reduction = Reduction(rgb.shape[:2], (height, width), rows.take, wrap=wrap, shows_both=True)
    for top in range(-reduction.border, len(rgb) + reduction.border, step):
        seen = np.arange(top, min(top + step, len(rgb) + reduction.border)) % len(rgb)
        reduction.see(Strip(top, rgb[seen], rgb[seen] * 0.5, None if alpha is None else alpha[seen]))
    assert reduction.peak == rows.rgb.max()
    return rows


def noise(height: int, width: int) -> FloatArray:
    return np.random.default_rng(height * width).random((height, width, 3), np.float32)


@settings(max_examples=examples(25), deadline=None)
@given(
    st.integers(2, 60),
    st.integers(2, 60),
    st.floats(0.05, 1.0),
    st.sampled_from([NO_WRAP, BOTH]),
    st.integers(1, 90),
)
def test_a_constant_stays_and_strips_do_not_show(
    height: int, width: int, ratio: float, wrap: Wrap, step: int
) -> None:
    size = max(1, round(height * ratio)), max(1, round(width * ratio))
    flat = np.full((height, width, 3), 0.3, np.float32)
    alpha = np.full((height, width), 0.7, np.float32)
    found = reduced(flat, *size, alpha, wrap, step)
    np.testing.assert_allclose(found.rgb, 0.3, rtol=1e-6)
    np.testing.assert_allclose(np.asarray(found.alpha), 0.7, rtol=1e-6)
    picture = noise(height, width)
    once = reduced(picture, *size, None, wrap, 10**6)
    np.testing.assert_array_equal(reduced(picture, *size, None, wrap, step).rgb, once.rgb)
    np.testing.assert_allclose(np.asarray(once.sdr), once.rgb * 0.5, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [(37, 50), (20, 99), (64, 100), (9, 11)])
def test_smooth_pictures_become_what_pillow_makes_of_them(size: tuple[int, int]) -> None:
    """Pillow's bicubic is the same filter; where nothing could ring, no limit applies."""
    y, x = np.mgrid[:64, :100]
    plane = (0.5 + 0.4 * np.sin(x / 17.0) * np.cos(y / 13.0)).astype(np.float32)
    wanted = np.asarray(Image.fromarray(plane).resize(size[::-1], Image.Resampling.BICUBIC))
    found = reduced(np.repeat(plane[..., None], 3, 2), *size).rgb[..., 0]
    np.testing.assert_allclose(found[2:-2, 2:-2], wanted[2:-2, 2:-2], atol=2e-3)


def test_light_stays_in_all() -> None:
    picture = noise(120, 90) ** 8 * 50.0
    picture[::11, ::7] = 49.0
    box = oiio.ImageBuf(picture)  # an independent reduction: means of areas
    means = oiio.ImageBufAlgo.resize(box, filtername="box", roi=oiio.ROI(0, 30, 0, 40, 0, 1, 0, 3))
    found = reduced(picture, 40, 30).rgb
    assert found.mean() == pytest.approx(np.asarray(means.get_pixels()).mean(), rel=0.05)
    assert found.mean() == pytest.approx(picture.mean(), rel=0.05)


def test_a_light_of_49_times_white_has_no_dark_ring() -> None:
    picture = np.full((90, 90, 3), 0.18, np.float32)
    picture[40:50, 40:50] = 49.0
    found = reduced(picture, 34, 34).rgb
    assert found.min() == pytest.approx(0.18, rel=1e-5)
    assert found.max() <= 49.0 * (1 + 1e-6)
    assert found.max() > 40.0


def test_colour_that_nobody_sees_does_not_count() -> None:
    rgb, alpha = np.zeros((40, 40, 3), np.float32), np.zeros((40, 40), np.float32)
    rgb[:, 20:], alpha[:, 20:] = 0.6, 1.0
    found = reduced(rgb, 13, 13, alpha)
    visible = np.asarray(found.alpha) > 1e-3
    np.testing.assert_allclose(found.rgb[visible], 0.6, rtol=1e-3)


@pytest.mark.parametrize("axis", [0, 1])
def test_edges_that_meet_do_so_in_the_smaller_picture(axis: int) -> None:
    picture = noise(60, 90)
    result = reduced(picture, 20, 30, wrap=BOTH).rgb
    moved = reduced(np.ascontiguousarray(np.roll(picture, 6, axis)), 20, 30, wrap=BOTH).rgb
    np.testing.assert_allclose(moved, np.roll(result, 2, axis), atol=1e-6)


def test_rows_of_a_border_are_no_part_of_a_strip_within() -> None:
    rgb = noise(10, 4)
    strip = Strip(-3, rgb, rgb, rgb[..., 0])
    inside = strip.within(5)
    assert inside is not None
    assert inside.top == 0
    np.testing.assert_array_equal(inside.rgb, rgb[3:8])
    assert Strip(5, rgb, rgb, None).within(5) is None
    with pytest.raises(ValueError, match="was not asked for"):
        assert Strip(5, rgb, None, None).unexpanded
