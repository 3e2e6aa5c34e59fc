"""TIFF structures: what is built is read again; damage is an error of two kinds."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luxscaler.io.exif.ifd import (
    EXIF_IFD,
    GPS_IFD,
    LONG,
    SHORT,
    SUB_IFDS,
    Entries,
    Tiff,
    bytes_reader,
    text_entry,
    tiff_block,
)
from tests.support.examples import examples


def entry(order: str, kind: int, numbers: list[int]) -> tuple[int, int, bytes]:
    code = {SHORT: "H", LONG: "I"}[kind]
    return kind, len(numbers), struct.pack(f"{order}{len(numbers)}{code}", *numbers)


def entries(order: str) -> st.SearchStrategy[Entries]:
    numbers = st.builds(
        lambda kind, values: entry(order, kind, values),
        st.sampled_from([SHORT, LONG]),
        st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=5),
    )
    values = st.one_of(numbers, st.text(max_size=20).map(text_entry))
    tags = st.one_of(st.just(SUB_IFDS), st.integers(256, 0x8000))
    return st.dictionaries(tags, values, max_size=6)


orders = st.sampled_from(["<", ">"])


@settings(max_examples=examples(30))
@given(st.data(), orders, st.sampled_from([b"", b"Exif\0\0"]))
def test_what_is_built_is_read_again(data: st.DataObject, order: str, prefix: bytes) -> None:
    main, exif, gps = (data.draw(entries(order)) for _ in range(3))
    tiff = Tiff.of(bytes_reader(prefix + tiff_block(order, main, {EXIF_IFD: exif, GPS_IFD: gps})))
    assert (tiff.order, tiff.big, tiff.start) == (order, False, 8)
    found = tiff.directory(tiff.start)
    for pointer, expected in ((EXIF_IFD, exif), (GPS_IFD, gps)):
        place = found.pop(pointer, None)
        assert (place is None) == (not expected)
        if place is not None:
            assert tiff.directory(tiff.number(place[2])) == expected
    assert found == main


@settings(max_examples=examples(30))
@given(st.data(), orders)
def test_damage_is_one_of_two_errors(data: st.DataObject, order: str) -> None:
    block = bytearray(tiff_block(order, data.draw(entries(order)), {EXIF_IFD: data.draw(entries(order))}))
    for place in data.draw(st.lists(st.integers(0, len(block) - 1), max_size=4)):
        block[place] = data.draw(st.integers(0, 255))
    with suppress(ValueError, struct.error):
        tiff = Tiff.of(bytes_reader(bytes(block[: data.draw(st.integers(0, len(block)))])))
        tiff.directory(tiff.start)


def test_large_values_can_be_left_out() -> None:
    block = tiff_block("<", {300: (7, 70_000, bytes(70_000)), 301: entry("<", SHORT, [5])})
    tiff = Tiff.of(bytes_reader(block))
    assert set(tiff.directory(8, unless_large={300})) == {301}
    assert len(tiff.directory(8)[300][2]) == 2**16 + 1
    assert set(tiff.directory(8, {300})) == {300}


def test_a_value_beyond_the_end_is_an_error() -> None:
    block = tiff_block("<", {300: text_entry("a longer text")})
    with pytest.raises(ValueError, match="beyond the end"):
        Tiff.of(bytes_reader(block[:-3])).directory(8)
