"""What is seen of the rows as they pass: area means, and what changes beside seams."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luxscaler.masters.observer import Observer
from luxscaler.masters.reducer import Reducer
from luxscaler.picture import FloatArray
from luxscaler.tiling.plan import Plan, plan
from luxscaler.tiling.strips import Strip
from tests.support.examples import examples


def area_means(picture: FloatArray, cells: tuple[int, int]) -> FloatArray:
    """The same by plain NumPy: cell i of n begins at floor(i · length / n)."""
    height, width = picture.shape[:2]
    down = [i * height // cells[0] for i in range(cells[0])] + [height]
    across = [i * width // cells[1] for i in range(cells[1])] + [width]
    return np.array(
        [
            [
                picture[down[i] : down[i + 1], across[j] : across[j + 1]].mean((0, 1), np.float64)
                for j in range(cells[1])
            ]
            for i in range(cells[0])
        ],
        np.float32,
    )


def in_strips(length: int, steps: list[int]) -> Iterator[slice]:
    top = 0
    while top < length:
        step = steps[top % len(steps)]
        yield slice(top, min(top + step, length))
        top += step


@settings(max_examples=examples(60))
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 50), st.integers(1, 50)),
    st.lists(st.integers(1, 17), min_size=1, max_size=5),
)
def test_means_are_those_of_areas_however_rows_come(
    size: tuple[int, int], cells: tuple[int, int], steps: list[int]
) -> None:
    picture = np.random.default_rng(size).random((*size, 2), np.float32) * 9
    reducer = Reducer(size, cells, 2)
    for rows in in_strips(size[0], steps):
        reducer.add(rows.start, picture[rows])
    least = (min(cells[0], size[0]), min(cells[1], size[1]))
    np.testing.assert_allclose(reducer.means(), area_means(picture, least), rtol=1e-5)


def observed(rgb: FloatArray, cuts: Plan, alpha: FloatArray | None = None) -> Observer:
    observer = Observer(cuts, has_alpha=alpha is not None)
    for rows in in_strips(len(rgb), [37]):
        observer.see(Strip(rows.start, rgb[rows], rgb[rows], None if alpha is None else alpha[rows]))
    return observer


def test_the_preview_of_a_small_picture_is_the_picture() -> None:
    random = np.random.default_rng(0)
    rgb, alpha = random.random((30, 40, 3), np.float32), random.random((30, 40), np.float32)
    cuts = plan(40, 30, scale=1, tile=64)
    np.testing.assert_array_equal(observed(rgb, cuts).preview().rgb, rgb)
    with_alpha = observed(rgb, cuts, alpha).preview()
    assert with_alpha.alpha is not None
    np.testing.assert_array_equal(with_alpha.alpha, alpha)
    np.testing.assert_allclose(with_alpha.rgb, rgb, rtol=1e-5)


def test_transparent_colour_does_not_reach_the_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luxscaler.masters.observer.PREVIEW_PIXELS", 16)
    rgb = np.ones((40, 40, 3), np.float32)
    alpha = np.ones((40, 40), np.float32)
    rgb[::2], alpha[::2] = 50.0, 0.0
    preview = observed(rgb, plan(40, 40, scale=1, tile=64), alpha).preview()
    assert preview.rgb.shape == (4, 4, 3)
    np.testing.assert_allclose(preview.rgb, 1.0, rtol=1e-6)
    assert preview.alpha is not None
    np.testing.assert_allclose(preview.alpha, 0.5)


SIDE = 1000


@pytest.mark.parametrize("scale", [1, 2])
def test_the_own_steps_of_an_even_slope_are_known(scale: int) -> None:
    cuts = plan(SIDE // scale, SIDE // scale, scale=scale, tile=128)
    slope = np.linspace(0.2, 0.8, SIDE)[:, None] * np.ones((SIDE, SIDE))
    steps = observed(((slope**2.4)[..., None] * np.ones(3)).astype(np.float32), cuts).own_steps()
    assert steps is not None
    # Half of the seams run along the slope, and see none; the others see it over half of the overlap.
    reach = cuts.overlap // 2 // 4 * 4 * scale
    assert steps == pytest.approx(0.6 * reach / SIDE / np.sqrt(2), rel=0.3)


def test_one_tile_has_no_seams() -> None:
    down, across = np.ogrid[:50, :60]
    waves = np.sin((down + across) / 90) * np.cos(across / 140)
    smooth = ((0.5 + 0.2 * waves)[..., None] * np.ones(3)).astype(np.float32)
    assert observed(smooth, plan(60, 50, scale=1, tile=64)).own_steps() is None


def test_a_flat_picture_has_no_steps() -> None:
    flat = np.ones((200, 200, 3), np.float32)
    assert observed(flat, plan(200, 200, scale=1, tile=64)).own_steps() == pytest.approx(0.0, abs=1e-6)
