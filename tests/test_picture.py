"""The picture that travels between the stages."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luxscaler.errors import PictureError
from luxscaler.picture import Picture, PictureSource

sources = st.builds(
    PictureSource,
    format=st.text(),
    bits=st.integers(1, 32),
    is_float=st.booleans(),
    color_space=st.text(),
    notices=st.lists(st.text()).map(tuple),
    exif=st.none() | st.binary(),
    resolution_dpi=st.none() | st.tuples(st.floats(1, 1e5), st.floats(1, 1e5)),
)


@given(sources)
def test_a_source_comes_back_from_json(source: PictureSource) -> None:
    assert PictureSource.from_json(json.loads(json.dumps(source.to_json()))) == source


def picture(alpha: bool) -> Picture:
    rgb = np.arange(5 * 7 * 3, dtype=np.float32).reshape(5, 7, 3)
    source = PictureSource(format="png")
    return Picture(rgb, rgb[..., 0] / np.float32(200) if alpha else None, source)


@pytest.mark.parametrize("alpha", [False, True])
@given(data=st.data())
def test_a_region_is_a_part_with_the_source_of_the_whole(alpha: bool, data: st.DataObject) -> None:
    whole = picture(alpha)
    top, left = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 6))
    bottom, right = data.draw(st.integers(top + 1, 5)), data.draw(st.integers(left + 1, 7))
    part = whole.region(top, bottom, left, right)
    np.testing.assert_array_equal(part.rgb, whole.rgb[top:bottom, left:right])
    assert part.has_alpha == whole.has_alpha == alpha
    if part.alpha is not None and whole.alpha is not None:
        np.testing.assert_array_equal(part.alpha, whole.alpha[top:bottom, left:right])
    assert part.source == whole.source
    assert whole.whole() is whole


@pytest.mark.parametrize("place", [(0, 6, 0, 7), (0, 5, 0, 8), (-1, 5, 0, 7), (2, 2, 0, 7), (0, 5, 3, 2)])
def test_a_region_that_is_no_part_is_refused(place: tuple[int, int, int, int]) -> None:
    with pytest.raises(PictureError, match="no part of a picture of 7 × 5"):
        picture(alpha=True).region(*place)


def test_a_bound_of_a_region_that_is_no_number_is_named() -> None:
    with pytest.raises(PictureError, match="bottom is '5'; it must be a whole number"):
        picture(alpha=True).region(0, "5", 0, 7)  # type: ignore[arg-type]
