"""ISO media boxes: what is built is read again."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luxscaler.io.isobmff import (
    box,
    box_header,
    boxes,
    iloc_body,
    item_places,
    top_boxes,
    whole_boxes,
)

contents = st.lists(st.tuples(st.binary(min_size=4, max_size=4), st.binary(max_size=20)), max_size=5)


@given(contents)
def test_boxes_come_back(content: list[tuple[bytes, bytes]]) -> None:
    data = b"".join(box(*each) for each in content)
    assert list(boxes(data)) == whole_boxes(data) == content
    found = [(name, data[start : start + size]) for name, start, size in top_boxes(io.BytesIO(data))]
    assert found == content


@given(contents, st.integers(1, 7))
def test_boxes_that_do_not_fill_the_data_are_refused(content: list[tuple[bytes, bytes]], cut: int) -> None:
    data = b"".join(box(*each) for each in [*content, (b"last", b"1234567")])[:-cut]
    assert list(boxes(data)) == content
    with pytest.raises(ValueError, match="unexpected ISO media box"):
        whole_boxes(data)


def test_a_size_of_64_bits() -> None:
    data = box_header(b"wide", 3, wide=True) + b"abc" + box(b"next", b"")
    assert list(boxes(data)) == [(b"wide", b"abc"), (b"next", b"")]
    assert list(top_boxes(io.BytesIO(data))) == [(b"wide", 16, 3), (b"next", 27, 0)]


@given(st.dictionaries(st.integers(1, 2**16 - 1), st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 99))))
def test_places_of_items_come_back(places: dict[int, tuple[int, int]]) -> None:
    body = iloc_body((item, *place) for item, place in places.items())
    assert item_places(body) == {item: [(0, *place)] for item, place in places.items()}
    for item, place in places.items():
        assert item_places(body, item) == {item: [(0, *place)]}
    assert item_places(body, 0) == {}
