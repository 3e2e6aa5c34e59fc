"""JPEG that is whole but for its framing: no end marker, bytes between markers, many scans."""

import re
import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from luxscaler.errors import PictureError
from luxscaler.io.read import read_header, read_picture
from luxscaler.isolation.pool import decode_to_file
from tests.support.picture_files import P3, exif, noise, pillow, rgb_profile, srgb

SMOOTH = Image.fromarray(noise(5, 6)).resize((50, 41), Image.Resampling.BICUBIC)
KINDS = {
    "baseline": pillow(SMOOTH, "JPEG"),
    "grey": pillow(SMOOTH.convert("L"), "JPEG"),
    "progressive": pillow(SMOOTH, "JPEG", progressive=True),
    "restarts": pillow(SMOOTH, "JPEG", restart_marker_blocks=3),
    "cmyk": pillow(SMOOTH.convert("CMYK"), "JPEG"),
}
NOTICE = "the file ends without its end marker"


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_end_marker_is_a_notice(kind: str) -> None:
    data = KINDS[kind]
    picture = read_picture(data[:-2])
    assert (picture.rgb == read_picture(data).rgb).all()
    assert NOTICE in picture.source.notices
    assert NOTICE in read_header(data[:-2]).notices
    assert NOTICE not in read_header(data).notices


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lacking", [5, 6, 9, 20, 60, 200])
def test_missing_rows_are_an_error(kind: str, lacking: int) -> None:
    with pytest.raises(PictureError, match="truncated"):
        read_picture(KINDS[kind][:-lacking])


@pytest.mark.parametrize("where", ["after the first marker", "before the frame"])
def test_bytes_between_markers_are_passed_over(where: str) -> None:
    data = KINDS["baseline"]
    at = 2 if where == "after the first marker" else data.index(b"\xff\xc0")
    picture = read_picture(data[:at] + b"\0\x12\0" + data[at:])
    assert (picture.rgb == read_picture(data).rgb).all()


def test_scans_of_a_thumbnail_do_not_count() -> None:
    thumbnail = KINDS["progressive"] * 30
    block = exif(1) + thumbnail
    assert read_header(pillow(SMOOTH, "JPEG", exif=block)).width == 50


def test_the_end_of_what_follows_does_not_count() -> None:
    """A second picture behind the first, as phones write it."""
    assert NOTICE not in read_header(KINDS["baseline"] + KINDS["progressive"] * 40).notices
    assert read_picture(KINDS["baseline"] + KINDS["progressive"] * 40).width == 50


def test_an_icc_profile_that_lacks_a_segment_is_a_notice() -> None:
    profile = rgb_profile(P3)
    parts = (profile[:200], profile[200:])
    segments = [
        b"\xff\xe2" + struct.pack(">H", 2 + 14 + len(part)) + b"ICC_PROFILE\0" + bytes([number, 2]) + part
        for number, part in enumerate(parts, 1)
    ]
    data = KINDS["baseline"]
    whole = read_picture(data[:2] + b"".join(reversed(segments)) + data[2:]).source
    assert (whole.color_space.startswith("ICC: "), whole.notices) == (True, ())
    said = read_picture(data[:2] + segments[0] + data[2:]).source
    assert said.color_space == "sRGB (assumed)"
    assert said.notices == ("parts of the ICC profile are missing; it is ignored",)


def test_xmp_beyond_its_first_segment_is_named() -> None:
    """Lightroom's long histories, as Adobe's XMP specification, part 3, 1.1.3.1, lays them out."""
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    packet = (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{rdf}"><rdf:Description '
        'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="00" '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="5"/></rdf:RDF></x:xmpmeta>'
    )
    source = read_picture(pillow(SMOOTH, "JPEG", xmp=packet.encode())).source
    assert b"Rating" in (source.inherited.xmp or b"")
    assert source.notices == ("the XMP data goes on in further segments, which were not kept",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data, at: data[: at + 4] + b"\x0c" + data[at + 5 :], "is a JPEG of 12 bits a channel"),
        (
            lambda data, at: data[: at + 1] + b"\xc1\0\x11\x0b" + data[at + 5 :],
            "is a JPEG of 11 bits a channel",
        ),
        (lambda data, at: data[: at + 5] + b"\0\0" + data[at + 7 :], "no height .* DNL marker"),
        (lambda data, at: data[: at + 1] + b"\xf7" + data[at + 2 :], "is a JPEG-LS"),
    ],
)
def test_kinds_of_jpeg_that_are_not_read_are_named(change: Callable[[bytes, int], bytes], said: str) -> None:
    data = KINDS["baseline"]
    with pytest.raises(PictureError, match=f"{said}.*not supported"):
        read_picture(change(data, data.index(b"\xff\xc0")))


DEEP = noise(5, 6, bits=16)
DEEP = np.stack([np.kron(DEEP[..., i], np.ones((9, 8), np.uint16)) for i in range(3)], axis=-1)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_of_12_bits(channels: int) -> None:
    codes = np.ascontiguousarray((DEEP >> 4)[..., :channels].squeeze())
    data = bytes(imagecodecs.jpeg8_encode(codes, level=100, subsampling="444", bitspersample=12))
    picture = read_picture(data)
    expected = srgb(codes / 4095).reshape(45, 48, channels) * np.ones(3)
    np.testing.assert_allclose(picture.rgb, expected, atol=0.003)  # half a step of 8 bits
    assert read_header(data).bits == 12
    assert picture.source.is_grey == (channels == 1)
    assert not picture.source.notices


@pytest.mark.parametrize("bits", [2, 8, 9, 12, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_jpeg_of_every_depth(bits: int, channels: int) -> None:
    codes = np.ascontiguousarray((DEEP >> (16 - bits))[..., :channels].squeeze())
    codes = codes if bits > 8 else codes.astype(np.uint8)
    data = bytes(imagecodecs.jpeg8_encode(codes, lossless=True, bitspersample=bits))
    picture = read_picture(data)
    expected = srgb(codes.reshape(45, 48, channels) / (2**bits - 1)) * np.ones(3)
    np.testing.assert_allclose(picture.rgb, expected, atol=1e-6)
    assert read_header(data).bits == bits


def test_deep_inks_are_refused_by_name() -> None:
    codes = noise(16, 16, 4, bits=16) >> 4
    data = imagecodecs.jpeg8_encode(codes, bitspersample=12, colorspace="cmyk", outcolorspace="cmyk")
    with pytest.raises(PictureError, match="is a CMYK JPEG of 12 bits a channel, which is not supported"):
        read_picture(bytes(data))


def test_metadata_of_a_deep_jpeg() -> None:
    data = bytes(imagecodecs.jpeg8_encode(DEEP >> 4, level=95, bitspersample=12))
    block = exif(6)
    marked = data[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(block)) + block + data[2:]
    np.testing.assert_array_equal(read_picture(marked).rgb, np.rot90(read_picture(data).rgb, -1))


@pytest.mark.parametrize(("bits", "lossless"), [(12, False), (14, True), (8, True)])
def test_a_deep_jpeg_that_was_cut_off_is_an_error(bits: int, lossless: bool, tmp_path: Path) -> None:
    codes = (DEEP >> 16 - bits).astype(np.uint8 if bits == 8 else np.uint16)
    data = bytes(imagecodecs.jpeg8_encode(codes, level=95, bitspersample=bits, lossless=lossless))
    assert read_picture(data[:-2]).source.notices == (NOTICE,)
    for lacking in (60, 150, len(data) // 2):
        for end in (b"", b"\xff\xd9"):
            with pytest.raises(PictureError, match="truncated: the JPEG ends before its last row"):
                read_picture(data[:-lacking] + end)
            with pytest.raises(PictureError, match="truncated: the JPEG ends before its last row"):
                decode_to_file(data[:-lacking] + end, tmp_path / "linear", max_pixels=10**6)


@pytest.mark.parametrize("kind", ["baseline", "grey", "restarts", "cmyk"])
def test_an_end_marker_does_not_make_a_file_whole(kind: str, tmp_path: Path) -> None:
    data = KINDS[kind]
    for lacking in (60, 150):
        cut = data[:-lacking] + b"\xff\xd9"
        with pytest.raises(PictureError, match="truncated: the JPEG ends before its last row"):
            read_picture(cut)
        with pytest.raises(PictureError, match="truncated: the JPEG ends before its last row"):
            decode_to_file(cut, tmp_path / "linear", max_pixels=10**6)


@pytest.mark.parametrize("grey", [0, 127, 128])
def test_a_picture_that_is_grey_itself_is_whole(grey: int) -> None:
    picture = read_picture(pillow(np.full((40, 50, 3), grey, np.uint8), "JPEG"))
    np.testing.assert_allclose(picture.rgb, srgb(grey / 255), rtol=3e-7)


def test_further_pictures_of_a_file_are_told() -> None:
    file = BytesIO()
    SMOOTH.save(file, "MPO", save_all=True, append_images=[SMOOTH.rotate(180), SMOOTH])
    data = file.getvalue()
    assert read_picture(data).source.notices == ("the first of 3 pictures is read",)
    np.testing.assert_array_equal(read_picture(data).rgb, read_picture(pillow(SMOOTH, "JPEG")).rgb)


def test_thumbnails_are_no_further_pictures() -> None:
    """As cameras write them: class 1 of the multi-picture format."""
    file = BytesIO()
    SMOOTH.save(file, "MPO", save_all=True, append_images=[SMOOTH])
    data = file.getvalue()
    first = re.search(rb"\x00\x00\x03\x00.{4}\x00{8}", data, re.DOTALL)
    assert first is not None
    entry = first.end()
    assert data[entry : entry + 4] == bytes(4)
    marked = data[:entry] + struct.pack("<I", 0x010002) + data[entry + 4 :]
    assert not read_picture(marked).source.notices


def test_inks_that_no_adobe_marker_explains_are_told() -> None:
    data = KINDS["cmyk"]
    at = data.index(b"\xff\xee")
    bare = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]
    told = "CMYK without Adobe's marker: taken as Adobe stores it, inverted"
    assert told in read_picture(bare).source.notices
    assert told not in read_picture(data).source.notices
    np.testing.assert_array_equal(read_picture(bare).rgb, read_picture(data).rgb)
