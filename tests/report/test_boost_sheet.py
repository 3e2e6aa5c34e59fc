"""The sheet of a preview: views where they belong, colours of the scale for what is above white."""

import numpy as np
import pytest

from luxscaler.picture import Picture
from luxscaler.report.boost_sheet import colour_of, draw_sheet


def _views(before: Picture, after: Picture) -> list[np.ndarray]:
    """The four pictures of the sheet of a picture of 400 × 300, as they lie on it."""
    stops = np.log2(np.maximum(after.rgb.max(axis=2), 1.0))
    sheet = draw_sheet(before, after, stops)
    line, gap = 16, 8
    cell = 300 + 2 * line
    corners = [
        (row * cell + 2 * line - line // 4, gap + column * (400 + gap)) for row in (0, 1) for column in (0, 1)
    ]
    return [sheet[top : top + 300, left : left + 400] for top, left in corners]


def _flat(value: float) -> np.ndarray:
    return np.full((300, 400, 3), value, np.float32)


def _code(light: float) -> int:
    return int(np.rint(255 * (1.055 * light ** (1 / 2.4) - 0.055)))


def test_each_view_is_in_its_place() -> None:
    after = _flat(0.5)
    after[:, 200:] = 4.0
    sdr, boosted, darker, above = _views(Picture(_flat(0.5)), Picture(after))
    assert (sdr == _code(0.5)).all()
    assert (boosted[:, :200] == _code(0.25)).all()
    assert (boosted[:, 200:] == 255).all()
    assert (darker == _code(0.25)).all()
    assert (above[:, :200] == round(0.35 * 255 * (1.055 * 0.5 ** (1 / 2.4) - 0.055))).all()
    np.testing.assert_array_equal(above[0, 399], colour_of(np.array(1.0)))


def test_highlights_are_told_apart() -> None:
    after = _flat(1.0)
    for column, light in enumerate((1.0, 2.0, 4.0, 8.0)):
        after[:, 100 * column : 100 * column + 100] = light
    _, boosted, _, above = _views(Picture(_flat(1.0)), Picture(after))
    codes = [int(boosted[0, 100 * column, 0]) for column in range(4)]
    assert codes == sorted(set(codes))
    for stop in (1, 2, 3):
        np.testing.assert_array_equal(above[0, 100 * stop + 50], colour_of(np.array(stop / 3)))


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (200, 300)])
def test_any_shape_has_a_sheet_of_a_screens_size(size: tuple[int, int]) -> None:
    light = np.full((*size, 3), 0.5, np.float32)
    sheet = draw_sheet(Picture(light), Picture(light), np.zeros(size, np.float32))
    assert sheet.dtype == np.uint8
    assert 700 < sheet.shape[1] < 1300
    assert sheet.shape[0] < 1300


def test_what_is_transparent_is_black() -> None:
    picture = Picture(_flat(0.5), np.zeros((300, 400), np.float32))
    for view in _views(picture, picture):
        assert (view == 0).all()
