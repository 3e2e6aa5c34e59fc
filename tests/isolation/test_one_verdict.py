"""A file is read, or refused, whichever way it comes: at once, in bands, in this process or another."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luxscaler.errors import PictureError
from luxscaler.io.read import read_picture
from luxscaler.isolation.pool import IS_AVAILABLE, decode_to_file, read_picture_isolated
from luxscaler.picture import Picture
from tests.isolation.test_linear_file import IN_BANDS, SMOOTH, WHOLE
from tests.support.examples import examples
from tests.support.picture_files import noise, pillow, png, raw_png, tiff

pytestmark = pytest.mark.skipif(not IS_AVAILABLE, reason="bands and isolation need Linux")

RGB = noise(40, 50)


def long_strip() -> bytes:
    """A TIFF whose last strip holds a row more than the picture."""
    data = bytearray(tiff(RGB, photometric="rgb", rowsperstrip=40)) + bytes(150)
    entry = struct.pack("<HHI", 279, 4, 1)
    at = data.index(entry) + len(entry)
    struct.pack_into("<I", data, at, RGB.nbytes + 150)
    return bytes(data)


IRREGULAR = {
    **{
        f"tiff {compression}": tiff(RGB, photometric="rgb", compression=compression)
        for compression in ("zstd", "lzma", "lerc", "jpeg2000", "png", "jpegxl", "webp")
    },
    "png without its end": png(RGB)[:-12],
    "png, wrong checksum of a profile": png(RGB, (b"iCCP", b"a\0\0b")).replace(b"iCCPa", b"iCCPb"),
    "png of one row": raw_png(5, 1, 8, 0, bytes(6)),
    "png interlaced": bytes(raw_png(1, 1, 8, 0, bytes(2))),
    "jpeg without its end": pillow(SMOOTH, "JPEG")[:-2],
    "jpeg, bytes before its end": pillow(SMOOTH, "JPEG")[:-2] + b"\x12\x34\x56\xff\xd9",
    "jpeg, bytes behind its end": pillow(SMOOTH, "JPEG") + b"some more",
    "tiff, long strip": long_strip(),
    "tiff of 12 bits": tiff(noise(40, 50, 0, 16) >> 4, photometric="minisblack", bitspersample=12),
    "tiff signed": tiff(noise(40, 50, 3, 16).astype(np.int16), photometric="rgb"),
}


def verdicts(data: bytes, folder: Path) -> dict[str, Picture | str]:
    ways: dict[str, Callable[[], Picture]] = {
        "here": lambda: read_picture(data),
        "isolated": lambda: read_picture_isolated(data),
        "bands": lambda: decode_to_file(data, folder / "linear", max_pixels=10**6).whole(),
    }
    return {way: verdict(read) for way, read in ways.items()}


def verdict(read: Callable[[], Picture]) -> Picture | str:
    try:
        return read()
    except PictureError as error:
        return str(error)


def agree(data: bytes, folder: Path) -> Picture | None:
    found = verdicts(data, folder)
    pictures = [picture for picture in found.values() if isinstance(picture, Picture)]
    assert len(pictures) in (0, len(found)), found
    for picture in pictures[1:]:
        np.testing.assert_array_equal(picture.rgb, pictures[0].rgb)
        assert picture.source == pictures[0].source
    return pictures[0] if pictures else None


@pytest.mark.sample(5)
@pytest.mark.parametrize("name", IRREGULAR)
def test_irregular_files_are_read_by_every_way(name: str, tmp_path: Path) -> None:
    assert agree(IRREGULAR[name], tmp_path) is not None


@settings(
    max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damaged_files_meet_one_verdict(data: st.DataObject, tmp_path: Path) -> None:
    files = {**IN_BANDS, **WHOLE, **IRREGULAR}
    harmed = bytearray(files[data.draw(st.sampled_from(sorted(files)))])
    kind = data.draw(st.sampled_from(["cut", "byte", "both"]))
    if kind != "cut":
        harmed[data.draw(st.integers(0, len(harmed) - 1))] = data.draw(st.integers(0, 255))
    if kind != "byte":
        del harmed[data.draw(st.integers(0, len(harmed) - 1)) :]
    agree(bytes(harmed), tmp_path)
