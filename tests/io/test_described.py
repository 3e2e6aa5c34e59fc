"""XMP of AVIF, HEIC and JPEG XL: read whatever wrote it, written so that others read it, hostile or not."""

import gzip
import importlib.util
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import imagecodecs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from luxscaler.io.described import XMP_TYPE, content_types, xmp_item
from luxscaler.io.exif.read import MAX_ITEM_BYTES
from luxscaler.io.isobmff import Meta, box, boxes, iloc_body
from luxscaler.io.read import read_picture
from luxscaler.isolation.pool import read_picture_isolated
from tests.io.test_inherited import PACKET
from tests.support.described_files import with_packed_xmp
from tests.support.picture_files import noise, pillow

RGB = noise(16, 20)
DAMAGED = "the XMP data is damaged and was not kept"


def by_pillow(packet: bytes = PACKET) -> bytes:
    return pillow(RGB, "AVIF", xmp=packet)


def by_libheif(packet: bytes = PACKET) -> bytes:
    import pillow_heif

    file = BytesIO()
    pillow_heif.from_pillow(Image.fromarray(RGB)).save(file, xmp=packet)
    return file.getvalue()


def jxl(*more: tuple[bytes, bytes]) -> bytes:
    """A container with boxes behind the codestream."""
    data = bytes(imagecodecs.jpegxl_encode(RGB, lossless=True, effort=1, usecontainer=True))
    return data + b"".join(box(*each) for each in more)


def in_a_box() -> bytes:
    return jxl((b"xml ", PACKET))


def compressed() -> bytes:
    exif = b"Exif" + bytes(imagecodecs.brotli_encode(bytes(4) + b"II*\0\x08\0\0\0\0\0\0\0\0\0"))
    return jxl((b"brob", exif), (b"brob", b"xml " + bytes(imagecodecs.brotli_encode(PACKET))))


HAS_HEIF = pytest.mark.skipif(importlib.util.find_spec("pillow_heif") is None, reason="needs the extra heif")


@pytest.mark.parametrize("made", [by_pillow, pytest.param(by_libheif, marks=HAS_HEIF), in_a_box, compressed])
def test_xmp_is_read(made: "type[bytes]") -> None:
    data = made()
    picture = read_picture_isolated(data)
    kept = picture.source.inherited.xmp
    assert kept is not None
    assert b'Rating="4"' in kept
    assert b'FullPanoWidthPixels="20"' in kept
    assert b"Orientation" not in kept
    assert not any("XMP" in notice for notice in picture.source.notices)
    assert read_picture(data).source == picture.source


def without_frame(data: bytes) -> bytes:
    """Deflate as libheif writes it."""
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(data) + deflate.flush()


def brotli(data: bytes) -> bytes:
    return bytes(imagecodecs.brotli_encode(data))


PACKERS = [
    (b"deflate", zlib.compress),
    (b"deflate", without_frame),
    (b"compress_zlib", zlib.compress),
    (b"gzip", gzip.compress),
    (b"GZip", gzip.compress),
    (b"br", brotli),
]
WRITERS = [by_pillow, pytest.param(by_libheif, marks=HAS_HEIF)]
Pack = Callable[[bytes], bytes]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(("encoding", "pack"), PACKERS)
def test_compressed_items_are_read(encoding: bytes, pack: Pack, write: Pack) -> None:
    picture = read_picture(with_packed_xmp(write, pack(PACKET), encoding))
    assert picture.rgb.shape == (16, 20, 3)
    assert picture.source.inherited.xmp == read_picture(write(PACKET)).source.inherited.xmp is not None
    assert not any("XMP" in notice for notice in picture.source.notices)


@pytest.mark.parametrize(
    ("encoding", "pack", "reason"),
    [
        *((encoding, pack, f"over {MAX_ITEM_BYTES} bytes") for encoding, pack in PACKERS),
        (b"deflate", lambda data: zlib.compress(data)[:-6], "cut off"),
        (b"deflate", lambda _: b"", "cut off"),
        (b"gzip", lambda _: b"no gzip", "damaged"),
        (b"br", lambda _: b"no brotli", "damaged"),
    ],
)
def test_bombs_and_damage_cost_the_compressed_xmp_alone(encoding: bytes, pack: Pack, reason: str) -> None:
    """The content is small enough only where it is cut off."""
    content = bytes(1 << 24) if reason.startswith("over") else PACKET
    stream, meta = described(b"\0" + XMP_TYPE + b"\0" + encoding + b"\0", packet=pack(content))
    packet, notices = xmp_item(stream, meta)
    assert packet is None
    assert len(notices) == 1
    assert notices[0].startswith(f"the XMP data is compressed ({encoding.decode()!r}), ")
    assert reason in notices[0]


def test_the_limit_is_the_last_byte_that_is_kept() -> None:
    for size in (MAX_ITEM_BYTES, MAX_ITEM_BYTES + 1):
        stream, meta = described(b"\0" + XMP_TYPE + b"\0gzip\0", packet=gzip.compress(bytes(size)))
        packet, _ = xmp_item(stream, meta)
        assert (packet is None) == (size > MAX_ITEM_BYTES)


@pytest.mark.parametrize("write", WRITERS)
def test_what_is_compressed_in_another_way_is_named(write: Pack) -> None:
    picture = read_picture(with_packed_xmp(write, b"(\xb5/\xfd packed", b"zstd"))
    assert picture.source.inherited.xmp is None
    assert "the XMP data is compressed ('zstd') and was not kept" in picture.source.notices


def meta_of(data: bytes) -> tuple[int, bytes]:
    """Where the body of an AVIF's meta box begins, and it."""
    start = data.index(b"meta") + 4
    return start, next(body for name, body in boxes(data) if name == b"meta")


def with_places(data: bytes, offset: int, length: int) -> bytes:
    """The place of the last item of an AVIF, its XMP, changed. Its iloc entries are of 4 bytes each."""
    start, body = meta_of(data)
    at = body.index(b"iloc")
    (size,) = struct.unpack_from(">I", body, at - 4)
    end = start + at - 4 + size
    return data[: end - 8] + struct.pack(">2I", offset, length) + data[end:]


@pytest.mark.parametrize(
    ("offset", "length"), [(2**31, 100), (0, 0), (0, 2**32 - 1), (2**32 - 1, 2**32 - 1), (40, 0)]
)
def test_places_outside_the_file_cost_the_xmp_alone(offset: int, length: int) -> None:
    picture = read_picture_isolated(with_places(by_pillow(), offset, length))
    assert picture.rgb.shape == (16, 20, 3)
    assert picture.source.inherited.xmp is None
    assert DAMAGED in picture.source.notices


@pytest.mark.parametrize(
    ("box_of_it", "notice"),
    [
        ((b"xml ", PACKET[:200]), DAMAGED),
        ((b"xml ", b""), DAMAGED),
        ((b"brob", b"xml " + b"no brotli"), DAMAGED),
        ((b"brob", b"xml " + bytes(imagecodecs.brotli_encode(bytes(1 << 24)))), DAMAGED),
        ((b"xml ", PACKET + b" " * (1 << 20)), "the XMP data is over 1048576 bytes and was not kept"),
    ],
)
def test_damage_and_bombs_in_jpeg_xl(box_of_it: tuple[bytes, bytes], notice: str) -> None:
    picture = read_picture_isolated(jxl(box_of_it))
    assert picture.source.inherited.xmp is None
    assert notice in picture.source.notices


def described(entry: bytes, *, packet: bytes = PACKET) -> tuple[BytesIO, Meta]:
    """A file that is one packet, described by an infe box's end."""
    infe = box(b"infe", struct.pack(">I2H4s", 2 << 24, 2, 0, b"mime") + entry)
    iinf = bytes(4) + b"\0\x01" + infe
    meta = Meta(
        primary=1, references=[(b"cdsc", 2, (1, 2, 2))], iinf=iinf, iloc=iloc_body([(2, 0, len(packet))])
    )
    return BytesIO(packet), meta


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (b"\0" + XMP_TYPE + b"\0", (PACKET, ())),
        (b"a name\0" + XMP_TYPE, (PACKET, ())),
        (b"\0text/plain\0", (None, ())),
        (b"", (None, ())),
        (b"\0" + XMP_TYPE + b"\0identity\0", (PACKET, ())),
        (b"\0" + XMP_TYPE + b"\0zstd\0", (None, ("the XMP data is compressed ('zstd') and was not kept",))),
    ],
)
def test_the_content_type_decides(entry: bytes, expected: object) -> None:
    assert xmp_item(*described(entry)) == expected


@given(st.binary(max_size=60), st.binary(max_size=40))
@settings(max_examples=60)
def test_any_bytes_for_its_places_and_names_are_survived(iloc: bytes, iinf: bytes) -> None:
    stream, meta = described(b"\0" + XMP_TYPE + b"\0")
    meta.iloc = iloc
    assert xmp_item(stream, meta)[0] is not None
    meta.iinf = iinf
    packet, notices = xmp_item(stream, meta)
    assert packet in (None, b"")
    assert notices == ()


def test_content_types_are_those_of_mime_items() -> None:
    _, meta = described(b"\0" + XMP_TYPE + b"\0gzip\0")
    assert content_types(meta.iinf) == {2: (XMP_TYPE, b"gzip")}


def test_avif_is_written_with_xmp_that_pillow_reads(tmp_path: Path) -> None:
    from tests.io.test_inherited import upscaled

    path = tmp_path / "out.avif"
    result = upscaled(by_pillow(), path, "avif")
    assert not any("XMP" in notice for notice in result.notices)
    with Image.open(path) as picture:
        found = picture.info["xmp"]
        assert picture.getexif()[270].startswith('{"luxscaler"')
        picture.load()
    for text in (b'Rating="4"', b'FullPanoWidthPixels="40"', b">32</GPano:FullPanoHeightPixels>"):
        assert text in found
