"""JPEG 2000: every depth and number of channels, and what the boxes say of their meaning."""

import itertools
import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from luxscaler.errors import PictureError
from luxscaler.io.isobmff import box, boxes
from luxscaler.io.read import read_header, read_picture
from tests.support.picture_files import P3, exif, noise, rgb_profile, srgb

SRGB, GREY, SYCC, CMYK = 16, 17, 18, 12
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
XMP += b'<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>'


def codestream(array: NDArray[Any], bits: int | None = None) -> bytes:
    depth = bits or array.dtype.itemsize * 8
    options: Any = {"codecformat": "j2k", "level": 0, "reversible": True, "mct": False}
    return bytes(imagecodecs.jpeg2k_encode(array, bitspersample=depth, **options))


def jp2(stream: bytes, *header: bytes, more: bytes = b"") -> bytes:
    """A file of these boxes; the sizes are those of the codestream."""
    right, bottom = struct.unpack_from(">II", stream, 8)
    (count,) = struct.unpack_from(">H", stream, 40)
    sizes = struct.pack(">IIHBBBB", bottom, right, count, stream[42], 7, 0, 0)
    kind = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    return kind + box(b"jp2h", box(b"ihdr", sizes) + b"".join(header)) + more + box(b"jp2c", stream)


def colr(space: int) -> bytes:
    return box(b"colr", b"\1\0\0" + struct.pack(">I", space))


def cdef(*entries: tuple[int, int, int]) -> bytes:
    body = b"".join(struct.pack(">3H", *entry) for entry in entries)
    return box(b"cdef", struct.pack(">H", len(entries)) + body)


def by_pillow(data: bytes) -> NDArray[Any]:
    return np.asarray(Image.open(BytesIO(data)))


@pytest.mark.sample(6)
@pytest.mark.parametrize("bits", [1, 5, 8, 10, 12, 16, 20])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("wrapped", [False, True])
def test_every_bit_of_every_channel_is_kept(bits: int, channels: int, wrapped: bool) -> None:
    kind = np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32
    codes = np.random.default_rng(bits).integers(0, 2**bits, (12, 15, channels)).astype(kind)
    stream = codestream(codes if channels > 1 else codes[..., 0].copy(), bits)
    data = jp2(stream, colr(SRGB if channels > 2 else GREY)) if wrapped else stream
    picture, header = read_picture(data), read_header(data)
    light = srgb(codes / (2**bits - 1))
    colors = 1 if channels < 3 else 3
    np.testing.assert_allclose(picture.rgb, np.broadcast_to(light[..., :colors], (12, 15, 3)), atol=1e-6)
    assert (header.bits, header.channels, header.has_alpha) == (bits, channels, channels in (2, 4))
    assert picture.source.is_grey == (channels < 3)
    if channels in (2, 4):
        assert picture.alpha is not None
        np.testing.assert_allclose(picture.alpha, codes[..., -1] / (2**bits - 1), atol=1e-6)


def test_grey_with_alpha_is_what_pillow_says() -> None:
    codes = noise(20, 30, 2)
    file = BytesIO()
    Image.fromarray(codes, "LA").save(file, "JPEG2000", tile_size=(16, 16), irreversible=False)
    picture = read_picture(file.getvalue())
    seen = by_pillow(file.getvalue()) / 255
    np.testing.assert_allclose(picture.rgb, srgb(seen[..., :1]).repeat(3, axis=2), atol=1e-6)
    assert picture.alpha is not None
    np.testing.assert_allclose(picture.alpha, seen[..., 1], atol=1e-6)


@pytest.mark.parametrize("bits", [8, 16])
def test_cmyk_is_no_colour_with_alpha(bits: int) -> None:
    inks = noise(20, 30, 4, bits)
    data = jp2(codestream(inks), colr(CMYK))
    picture = read_picture(data)
    part = inks / (2**bits - 1)
    np.testing.assert_allclose(picture.rgb, srgb((1 - part[..., :3]) * (1 - part[..., 3:])), atol=1e-6)
    assert picture.alpha is None
    assert picture.source.color_space == "CMYK without a profile"
    if bits == 8:
        assert (Image.open(BytesIO(data)).mode, (by_pillow(data) == inks).all()) == ("CMYK", True)


@pytest.mark.parametrize("kind", [1, 2])
def test_alpha_is_straight_or_premultiplied_as_the_file_says(kind: int) -> None:
    codes = noise(20, 30, 4)
    codes[..., :3] = np.minimum(codes[..., :3], codes[..., 3:])
    channels = [(number, 0, number + 1) for number in range(3)]
    data = jp2(codestream(codes), colr(SRGB), cdef(*channels, (3, kind, 0)))
    picture = read_picture(data)
    alpha = codes[..., 3:] / 255
    straight = codes[..., :3] / 255 / (np.where(alpha > 0, alpha, 1) if kind == 2 else 1)
    np.testing.assert_allclose(picture.rgb, srgb(straight), atol=1e-6)


def test_channels_in_another_order_and_of_no_meaning() -> None:
    codes = noise(20, 30, 4)
    turned = jp2(codestream(codes), colr(SRGB), cdef((0, 1, 0), (1, 0, 1), (2, 0, 2), (3, 0, 3)))
    picture = read_picture(turned)
    np.testing.assert_allclose(picture.rgb, srgb(codes[..., 1:] / 255), atol=1e-6)
    assert picture.alpha is not None
    np.testing.assert_allclose(picture.alpha, codes[..., 0] / 255, atol=1e-6)
    channels = [(number, 0, 3 - number) for number in range(3)]
    picture = read_picture(jp2(codestream(codes), colr(SRGB), cdef(*channels, (3, 65535, 65535))))
    np.testing.assert_allclose(picture.rgb, srgb(codes[..., 2::-1] / 255), atol=1e-6)
    assert picture.alpha is None
    assert picture.source.notices == ("ignored: 1 extra channel",)
    assert read_picture(codestream(noise(9, 9, 5))).source.notices == ("ignored: 2 extra channels",)


@pytest.mark.parametrize("backwards", [False, True])
def test_channels_in_every_order(backwards: bool) -> None:
    codes = noise(6, 7, 5)
    for places in itertools.permutations(range(5)):
        meanings = [(0, 1), (0, 2), (0, 3), (1, 0), (65535, 65535)]
        entries = [(place, *meaning) for place, meaning in zip(places, meanings, strict=True)]
        entries.sort(reverse=backwards)
        picture = read_picture(jp2(codestream(codes), colr(SRGB), cdef(*entries)))
        seen = codes[..., places] / 255
        np.testing.assert_allclose(picture.rgb, srgb(seen[..., :3]), atol=1e-6)
        assert picture.alpha is not None
        np.testing.assert_allclose(picture.alpha, seen[..., 3], atol=1e-6)
        assert picture.source.notices == ("ignored: 1 extra channel",)


def test_a_palette_is_expanded() -> None:
    colors = noise(1, 7, 3)[0]
    indices = np.random.default_rng(1).integers(0, 7, (20, 30), dtype=np.uint8)
    palette = struct.pack(">HB", 7, 3) + b"\7\7\7" + colors.tobytes()
    mapping = b"".join(struct.pack(">HBB", 0, 1, column) for column in range(3))
    data = jp2(codestream(indices), box(b"pclr", palette), box(b"cmap", mapping), colr(SRGB))
    picture = read_picture(data)
    np.testing.assert_allclose(picture.rgb, srgb(colors[indices] / 255), atol=1e-6)
    np.testing.assert_array_equal(by_pillow(data), indices)


def test_sycc_becomes_rgb() -> None:
    rgb = noise(20, 30)
    ycc = np.asarray(Image.fromarray(rgb).convert("YCbCr"))
    expected = np.asarray(Image.fromarray(ycc, "YCbCr").convert("RGB"))
    data = jp2(codestream(ycc), colr(SYCC))
    picture = read_picture(data)
    np.testing.assert_allclose(picture.rgb, srgb(expected / 255), atol=0.02)
    assert (read_header(data).bits, read_header(data).is_float) == (8, False)


def test_signed_components_begin_at_their_least_value() -> None:
    codes = noise(20, 30)
    signed = (codes.astype(np.int16) - 128).astype(np.int8)
    np.testing.assert_array_equal(read_picture(codestream(signed)).rgb, read_picture(codestream(codes)).rgb)


@pytest.mark.parametrize("method", [2, 3])
def test_a_profile_is_applied(method: int) -> None:
    codes = noise(20, 30, 3, 12).astype(np.uint16) >> 4
    body = bytes([method, 0, 0]) + rgb_profile(P3)
    picture = read_picture(jp2(codestream(codes, 12), box(b"colr", body)))
    assert picture.source.color_space.startswith("ICC: ")
    wide = codes.astype(np.uint16) * 16 + (codes >> 8)
    plain = BytesIO()
    Image.fromarray((wide >> 8).astype(np.uint8)).save(plain, "PNG", icc_profile=rgb_profile(P3))
    np.testing.assert_allclose(picture.rgb, read_picture(plain.getvalue()).rgb, atol=0.02)


def test_metadata_of_its_boxes() -> None:
    uuid = box(b"uuid", b"JpgTiffExif->JP2" + exif(6)[6:])
    uuid += box(b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + XMP)
    codes = noise(20, 30)
    picture = read_picture(jp2(codestream(codes), colr(SRGB), more=uuid))
    np.testing.assert_allclose(picture.rgb, srgb(np.rot90(codes, -1) / 255), atol=1e-6)
    assert b"Rating" in (picture.source.inherited.xmp or b"")


def _two(data: bytes) -> bytes:
    return data + box(b"jp2c", dict(boxes(data))[b"jp2c"])


def test_of_several_codestreams_the_first_is_read() -> None:
    data = _two(jp2(codestream(noise(9, 9)), colr(SRGB)))
    assert read_picture(data).source.notices == ("the first of several pictures is read",)


PLAIN = jp2(codestream(noise(9, 9)), colr(SRGB))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.replace(colr(SRGB), colr(14)), "is a JPEG 2000 in CIELab, which is not supported"),
        (lambda d: d.replace(colr(SRGB), colr(77)), "in the colour space 77, which is not supported"),
        (lambda d: d.replace(colr(SRGB), colr(CMYK)), "of 3 channels whose colours have 4"),
        (lambda d: d.replace(b"jp2c", b"moov"), "is Motion JPEG 2000, a video, which is not supported"),
        (lambda d: d.replace(b"jp2c", b"free"), "is truncated: there is no JPEG 2000 codestream"),
        (lambda d: d.replace(b"\xff\x4f\xff\x51", b"\xff\x4f\xff\x52"), "does not begin with its sizes"),
        (lambda d: d.replace(struct.pack(">II", 9, 9), bytes(8)), "damaged JPEG 2000 header: 0 × 0"),
    ],
)
def test_what_is_not_read_is_named(change: Callable[[bytes], bytes], said: str) -> None:
    with pytest.raises(PictureError, match=said):
        read_picture(change(PLAIN))


@pytest.mark.parametrize("array", [noise(24, 20, 2), noise(24, 20, 4)])
def test_a_truncated_file_is_an_error_at_every_length(array: NDArray[Any]) -> None:
    data = codestream(array)
    for end in range(4, len(data), max(1, len(data) // 60)):
        with pytest.raises(PictureError):
            read_picture(data[:end])
