"""What pictures hand on besides pixels: EXIF that is true of another picture too, and resolution."""

import struct
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from luxscaler.io.exif.read import MAX_EXIF_BYTES, MAX_ITEM_BYTES
from luxscaler.io.read import read_header, read_picture
from luxscaler.io.write import export
from luxscaler.picture import PictureSource
from tests.support.picture_files import box, exr, jxl, noise, pillow, png, tiff

RGB8 = noise()
EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x8769, 0x8825, 0xA005
MAIN = {271: "Maker", 272: "Model", 306: "2026:11:21 10:00:00", 315: "Ansel Adams", 33432: "(c) me"}


def block(order: str = "<", **more: Any) -> bytes:
    """EXIF as cameras write it, through Pillow; `order` is that of its bytes."""
    image_exif = Image.Exif()
    image_exif.endian = order
    for tag, value in MAIN.items():
        image_exif[tag] = value
    image_exif[274] = more.get("orientation", 6)
    image_exif[282], image_exif[283], image_exif[296] = 300.0, 200.0, more.get("unit", 2)
    sub = image_exif.get_ifd(EXIF_IFD)
    sub[0x829A], sub[0x8827], sub[0xA434] = 0.004, 400, "A lens"
    sub[0xA001], sub[0xA002], sub[0xA003] = 1, 32, 24
    sub[0x927C] = b"notes" * more.get("notes", 20)
    sub[0x9286] = b"ASCII\0\0\0" + b"x" * more.get("comment", 10)
    image_exif.get_ifd(GPS_IFD)[1] = "N"
    image_exif.get_ifd(GPS_IFD)[2] = (48.0, 8.0, 30.5)
    return image_exif.tobytes()


def source(data: bytes) -> PictureSource:
    return read_picture(data).source


def parsed(found: PictureSource) -> Image.Exif:
    assert found.exif is not None
    read = Image.Exif()
    read.load(b"Exif\0\0" + found.exif)
    return read


def expect_kept(found: PictureSource) -> None:
    read = parsed(found)
    assert {tag: read[tag] for tag in MAIN} == MAIN
    assert set(read) == {*MAIN, EXIF_IFD, GPS_IFD}
    sub = read.get_ifd(EXIF_IFD)
    assert set(sub) == {0x829A, 0x8827, 0xA434, 0x9286}
    assert (float(sub[0x829A]), sub[0x8827], sub[0xA434]) == (0.004, 400, "A lens")
    gps = read.get_ifd(GPS_IFD)
    assert gps[1] == "N"
    assert [float(part) for part in gps[2]] == [48.0, 8.0, 30.5]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "write",
    [
        lambda exif: pillow(RGB8, "JPEG", exif=exif),
        lambda exif: pillow(RGB8, "WEBP", exif=exif),
        lambda exif: png(RGB8, (b"eXIf", exif[6:])),
    ],
    ids=["jpeg", "webp", "png"],
)
def test_exif_is_handed_on(write: Any, order: str) -> None:
    found = source(write(block(order)))
    expect_kept(found)
    assert found.resolution_dpi == (200.0, 300.0)  # turned with the picture
    assert found.notices == ()


def test_exif_of_tiff() -> None:
    file = BytesIO()
    exif = Image.Exif()
    exif.load(block())
    Image.fromarray(RGB8).save(file, "TIFF", exif=exif)
    found = source(file.getvalue())
    read = parsed(found)
    assert {tag: read[tag] for tag in MAIN} == MAIN
    assert not set(read) - {*MAIN, EXIF_IFD, GPS_IFD}
    assert read.get_ifd(EXIF_IFD)[0xA434] == "A lens"


def test_tags_of_a_plain_tiff_are_handed_on() -> None:
    data = tiff(
        RGB8, photometric="rgb", extratags=[(33432, 2, 0, "me", True)], resolution=(100, 50), resolutionunit=3
    )
    found = source(data)
    assert parsed(found)[33432] == "me"
    assert found.resolution_dpi == pytest.approx((254.0, 127.0))


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_and_resolution_of_bigtiff(order: Any) -> None:
    tags = [(271, 2, 0, "Maker", True), (33432, 2, 0, "(c) me", True)]
    file = BytesIO()
    with tifffile.TiffWriter(file, bigtiff=True, byteorder=order) as writer:
        writer.write(
            RGB8, photometric="rgb", metadata=None, resolution=(300, 200), resolutionunit=2, extratags=tags
        )
    data = file.getvalue()
    found = source(data)
    assert (parsed(found)[271], parsed(found)[33432]) == ("Maker", "(c) me")
    assert found.resolution_dpi == (300.0, 200.0)
    # The same with an EXIF directory at the end, to which a pointer of 64 bits leads in place of the maker.
    at = data.index(struct.pack(order + "HH", 271, 2))
    lens = struct.pack(order + "QHHQ8s", 1, 0xA434, 2, 6, b"A lens\0\0") + bytes(8)
    pointer = struct.pack(order + "HHQQ", EXIF_IFD, 18, 1, len(data))
    found = source(data[:at] + pointer + data[at + 20 :] + lens)
    assert parsed(found).get_ifd(EXIF_IFD)[0xA434] == "A lens"
    # To nowhere, and to beyond what a file can be.
    for place in (10**6, 2**64 - 1):
        far = struct.pack(order + "HHQQ", EXIF_IFD, 18, 1, place)
        found = source(data[:at] + far + data[at + 20 :])
        assert found.notices == ("the EXIF data is malformed and was not kept",)
        assert found.resolution_dpi == (300.0, 200.0)


def container(*boxes: tuple[bytes, bytes]) -> bytes:
    """A JPEG XL file with more boxes behind the codestream."""
    return jxl(RGB8, lossless=True, usecontainer=True) + b"".join(box(*one) for one in boxes)


def compressed(block_of: bytes) -> tuple[bytes, bytes]:
    return b"brob", b"Exif" + bytes(imagecodecs.brotli_encode(block_of))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "write",
    [
        lambda exif: pillow(RGB8, "AVIF", exif=exif),
        lambda exif: container((b"xml ", b"<x/>"), (b"Exif", bytes(4) + exif[6:])),
        lambda exif: container((b"Exif", struct.pack(">I", 6) + exif)),
        lambda exif: container(compressed(bytes(4) + exif[6:])),
    ],
    ids=["avif", "jxl", "jxl with an offset", "jxl, compressed"],
)
def test_exif_of_items_and_boxes(write: Any, order: str) -> None:
    """Their orientation is void in AVIF and JPEG XL; Pillow makes an irot box of it."""
    found = source(write(block(order, orientation=1)))
    expect_kept(found)
    assert found.resolution_dpi == (300.0, 200.0)
    assert found.notices == ()


@pytest.mark.parametrize("name", ["avif", "jxl", "exr", "png", "webp", "tiff", "jpg"])
def test_what_the_exporter_writes_is_inherited_again(name: str, tmp_path: Any) -> None:
    kept = source(png(RGB8, (b"eXIf", block(orientation=1)[6:])))
    path = tmp_path / f"a.{name}"
    export(path, np.full((9, 8, 3), 0.5, np.float32), exif=kept.exif, resolution_dpi=(300.0, 300.0))
    found = source(path.read_bytes())
    assert found.resolution_dpi == pytest.approx((300, 300), abs=0.02)
    read = parsed(found)
    assert read[33432] == "(c) me"
    if name == "exr":
        assert set(read) == {33432}  # the picture was not dated
    elif name != "tiff":
        assert read[272] == "Model"
        assert read.get_ifd(EXIF_IFD)[0xA434] == "A lens"


def test_owner_date_and_density_of_exr() -> None:
    header = {"owner": "© me", "capDate": "2026:11:21 10:00:00", "xDensity": 300.0, "pixelAspectRatio": 2.0}
    found = source(exr({"RGB": np.zeros((4, 4, 3), np.float32)}, **header))
    read = parsed(found)
    assert read[33432].encode("latin-1").decode() == "© me"
    assert read.get_ifd(EXIF_IFD)[0x9003] == "2026:11:21 10:00:00"
    assert found.resolution_dpi == (300.0, 600.0)
    other = {"owner": " ", "capDate": "yesterday", "xDensity": 0.0}
    found = source(exr({"RGB": np.zeros((4, 4, 3), np.float32)}, **other))
    assert (found.exif, found.resolution_dpi, found.notices) == (None, None, ())


@pytest.mark.slow
def test_damaged_items_cost_the_exif_and_not_the_picture() -> None:
    malformed = ("the EXIF data is malformed and was not kept",)
    for item in (b"", b"\0", bytes(4), b"\xff\xff\xff\xff" + block()[6:], bytes(4) + b"II*\0\xff"):
        assert source(container((b"Exif", item))).notices == malformed
    assert source(container((b"brob", b"Exif" + b"no brotli"))).notices == malformed
    damaged = ("the XMP data is damaged and was not kept",)
    assert source(container((b"brob", b"xml " + b"no brotli"))).notices == damaged
    large = f"the EXIF data is over {MAX_ITEM_BYTES} bytes and was not kept"
    assert source(container((b"Exif", bytes(MAX_ITEM_BYTES + 5)))).notices == (large,)
    bomb = compressed(bytes(64 * MAX_ITEM_BYTES))
    assert len(bomb[1]) < 1000
    assert source(container(bomb)).notices == malformed


def test_a_damaged_directory_of_items_costs_the_exif_at_most() -> None:
    """In iinf, iref and iloc; libavif is not asked, as it refuses some such files itself."""
    whole = pillow(RGB8, "AVIF", exif=block(orientation=1))
    assert source(whole).exif is not None
    rng = np.random.default_rng(4)
    for name in (b"iinf", b"iref", b"iloc"):
        start = whole.index(name)
        size = int.from_bytes(whole[start - 4 : start], "big") - 8
        for _ in range(150):
            damaged = bytearray(whole)
            damaged[start + 4 + rng.integers(0, size)] = rng.integers(0, 256)
            header = read_header(bytes(damaged))
            assert (header.width, header.height) == (32, 24)


def test_the_thumbnail_goes() -> None:
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(RGB8, photometric="rgb", metadata=None, extratags=[(33432, 2, 0, "me", True)])
        writer.write(RGB8, photometric="rgb", metadata=None)
    found = source(pillow(RGB8, "JPEG", exif=b"Exif\0\0" + file.getvalue()))
    assert found.exif is not None
    assert len(found.exif) < 100
    assert parsed(found)[33432] == "me"


def test_large_blocks_are_left_out() -> None:
    kept = source(png(RGB8, (b"eXIf", block(notes=20_000)[6:])))
    expect_kept(kept)
    large = source(png(RGB8, (b"eXIf", block(comment=MAX_EXIF_BYTES)[6:])))
    assert large.exif is None
    assert large.notices == ("the EXIF data is over 64000 bytes and was not kept",)


@pytest.mark.slow
def test_damaged_blocks_are_left_out() -> None:
    whole = block()[6:]
    for length in range(1, len(whole)):
        data = png(RGB8, (b"eXIf", whole[:length]))
        found = read_picture(data).source
        if found.exif is None:
            assert found.notices == ("the EXIF data is malformed and was not kept",)
        assert read_header(data).notices == ()
    rng = np.random.default_rng(3)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(0, len(whole))] = rng.integers(0, 256)
        exif = read_picture(png(RGB8, (b"eXIf", bytes(damaged)))).source.exif
        assert exif is None or len(exif) <= MAX_EXIF_BYTES


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (pillow(RGB8, "JPEG", dpi=(300, 150)), (300, 150)),
        (pillow(RGB8, "JPEG"), None),
        (pillow(RGB8, "JPEG", dpi=(72, 72), exif=block(orientation=1)), (72, 72)),
        (pillow(RGB8, "JPEG", exif=block(orientation=1)), (300, 200)),
        (pillow(RGB8, "WEBP", exif=block(orientation=1, unit=3)), (762, 508)),
        (pillow(RGB8, "WEBP", exif=block(orientation=1, unit=1)), None),
        (png(RGB8, (b"pHYs", struct.pack(">IIB", 11811, 5906, 1))), (300, 150)),
        (png(RGB8, (b"pHYs", struct.pack(">IIB", 1, 2, 0))), None),
        (png(RGB8, (b"pHYs", struct.pack(">IIB", 0, 0, 1))), None),
        (png(RGB8, (b"pHYs", b"short")), None),
        (tiff(RGB8, photometric="rgb", resolution=(300, 150), resolutionunit=2), (300, 150)),
        (pillow(RGB8, "BMP", dpi=(96, 96)), (96, 96)),
        (pillow(RGB8, "GIF"), None),
    ],
)
def test_resolution(data: bytes, expected: tuple[float, float] | None) -> None:
    found = source(data).resolution_dpi
    assert found is None if expected is None else found == pytest.approx(expected, abs=0.02)


def test_nothing_is_made_up() -> None:
    for data in (
        png(RGB8),
        jxl(RGB8),
        container(),
        pillow(RGB8, "AVIF"),
        exr({"RGB": RGB8.astype(np.float32)}),
    ):
        found = source(data)
        assert (found.exif, found.resolution_dpi, found.notices) == (None, None, ())
    only_turned = Image.Exif()
    only_turned[274] = 6
    assert source(pillow(RGB8, "JPEG", exif=only_turned.tobytes())).exif is None
