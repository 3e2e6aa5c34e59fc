"""Pictures come out as they went in; anything else that comes back is refused."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import hdr_exporter
from luxscaler.backends import exr_transport
from luxscaler.errors import TileError
from luxscaler.geometry import TileBox
from luxscaler.io.read import read_picture
from luxscaler.picture import FloatArray, Picture, PictureSource
from tests.support.examples import examples
from tests.support.tiles import PHOTO, noise

FINITE = st.floats(-(2.0**100), 2.0**100, width=32)
PICTURES = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)), elements=FINITE
)


@settings(max_examples=examples(10))
@given(rgb=PICTURES)
def test_an_opaque_picture_comes_back_bit_by_bit(rgb: FloatArray) -> None:
    result, alpha = exr_transport.decode(exr_transport.encode(Picture(rgb)), (rgb.shape[0], rgb.shape[1]))
    assert alpha is None
    assert result.tobytes() == rgb.tobytes()


def test_alpha_comes_back() -> None:
    rgb, alpha = noise(5, 7), noise(5, 7, 1)[..., 0]
    result, seen = exr_transport.decode(exr_transport.encode(Picture(rgb, alpha)), (5, 7))
    assert seen is not None
    np.testing.assert_array_equal(seen, alpha)
    np.testing.assert_allclose(result, rgb, rtol=1e-6)


def test_a_file_does_as_well_as_bytes(tmp_path: Path) -> None:
    path = tmp_path / "tile.exr"
    path.write_bytes(exr_transport.encode(Picture(noise(3, 4))))
    np.testing.assert_array_equal(exr_transport.decode(path, (3, 4))[0], noise(3, 4))


@pytest.mark.parametrize("bits", [1, 8, 16])
def test_the_receiver_sees_that_a_photo_is_no_measured_light(bits: int) -> None:
    source = PictureSource(format="png", bits=bits, is_float=False)
    received = read_picture(exr_transport.encode(Picture(noise(3, 4), None, source)))
    assert (received.source.is_float, received.source.bits) == (False, bits)
    np.testing.assert_array_equal(received.rgb, noise(3, 4))


def test_the_receiver_sees_measured_light() -> None:
    for file in (
        exr_transport.encode(Picture(noise(3, 4))),
        exr_transport.encode(Picture(noise(3, 4), None, PHOTO), is_hdr=True),
    ):
        received = read_picture(file)
        assert (received.source.is_float, received.source.bits) == (True, 32)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (b"", "no usable picture"),
        (b"<html>504</html>", "no usable picture"),
        (exr_transport.encode(Picture(noise(16, 16)))[:600], "no usable picture"),
        (exr_transport.encode(Picture(noise(16, 15))), "15 × 16 pixels, 16 × 16"),
        (exr_transport.encode(Picture(noise(32, 32))), "no usable picture"),
    ],
    ids=["empty", "html", "truncated", "narrow", "large"],
)
def test_what_is_no_result_is_refused(broken: bytes, words: str) -> None:
    with pytest.raises(TileError, match=words):
        exr_transport.decode(broken, (16, 16))


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    hdr_exporter.export(path, noise(4, 4))
    with pytest.raises(TileError, match="the result is png, and EXR was asked for"):
        exr_transport.decode(path, (4, 4))


def test_values_that_are_not_finite_are_refused() -> None:
    data = exr_transport.encode(Picture(np.full((1, 1, 3), 0.125, np.float32)))
    assert struct.pack("<f", 0.125) in data  # a pixel is too small to be compressed
    with pytest.raises(TileError, match="not finite"):
        exr_transport.decode(data.replace(struct.pack("<f", 0.125), struct.pack("<f", np.nan)), (1, 1))


def _placed(box: TileBox, path: Path) -> Path:
    hdr_exporter.export(path, noise(4, 4), metadata={"tile_box": str(box)})
    return path


def test_another_tiles_result_is_refused(tmp_path: Path) -> None:
    box, other = TileBox(1 / 3, 0.0, 1 / 3, 1.0), TileBox(2 / 3, 0.0, 1 / 3, 1.0)
    path = _placed(box, tmp_path / "a.exr")
    for file in (path, path.read_bytes()):
        np.testing.assert_array_equal(exr_transport.decode(file, (4, 4), box)[0], noise(4, 4))
        with pytest.raises(TileError, match="of another tile"):
            exr_transport.decode(file, (4, 4), other)


@given(head=st.binary(max_size=200))
def test_damaged_headers_say_nothing(head: bytes) -> None:
    assert exr_transport._tile_box(b"\x76\x2f\x31\x01\x02\0\0\0" + head) is None


def test_the_box_travels_with_every_digit() -> None:
    box = TileBox(1 / 3, 0.1, 1 / 7, 2 / 3)
    assert TileBox.parse(exr_transport.box_text(box)) == box


def test_the_limit_holds_any_file() -> None:
    picture = Picture(noise(64, 64), np.ones((64, 64), np.float32), PHOTO)
    assert len(exr_transport.encode(picture)) < exr_transport.most_bytes((64, 64))
