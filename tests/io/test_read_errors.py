"""What is not a picture, or a damaged one, ends in one clear line, early and in little memory."""

import os
import struct
import tracemalloc
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest

from luxscaler.errors import PictureError, PictureTooLargeError
from luxscaler.io import read
from luxscaler.io.read import read_header, read_picture
from tests.support.picture_files import (
    avif,
    exif,
    exr,
    iccp,
    jxl,
    noise,
    pillow,
    png,
    radiance,
    raw_png,
    rgb_profile,
    tiff,
)

RGB8 = noise(40, 50)
P3_PROFILE = rgb_profile([0.680, 0.320, 0.265, 0.690, 0.150, 0.060])
FILES = {
    "jpeg": pillow(RGB8, "JPEG", exif=exif(6)),
    "jpeg progressive": pillow(RGB8, "JPEG", progressive=True, icc_profile=P3_PROFILE),
    "png": png(RGB8, iccp(P3_PROFILE), (b"eXIf", exif(6)[6:])),
    "png16": png(noise(bits=16)),
    "webp": pillow(RGB8, "WEBP"),
    "webp lossless": pillow(RGB8, "WEBP", lossless=True, icc_profile=P3_PROFILE, exif=exif(3)),
    "tiff": tiff(RGB8, photometric="rgb"),
    "tiff lzw": tiff(RGB8, photometric="rgb", compression="lzw"),
    "tiff zlib": tiff(RGB8, photometric="rgb", compression="zlib"),
    "tiff jpeg": tiff(RGB8, photometric="rgb", compression="jpeg"),
    "tiff tiles": tiff(RGB8, photometric="rgb", tile=(16, 16)),
    "exr": exr({n: RGB8[..., i].astype(np.float16) for i, n in enumerate("RGB")}),
    "hdr": radiance(RGB8 / np.float32(255)),
    "hdr flat": radiance(RGB8 / np.float32(255), rle=False),
    "jxl": jxl(RGB8, lossless=True),
    "jxl lossy": jxl(RGB8, distance=1.0, usecontainer=True),
    "jxl float": jxl(RGB8 / np.float32(255), lossless=True),
    "avif": avif(RGB8),
    "bmp": pillow(RGB8, "BMP"),
    "gif": pillow(RGB8, "GIF"),
}


def message(source: Any, **options: Any) -> str:
    with pytest.raises(PictureError) as caught:
        read_picture(source, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400
    return text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "the data is empty"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "the data is not a picture: it looks like HTML"),
        (b"\xef\xbb\xbf\n <HTML>", "looks like HTML"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "looks like XML"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "looks like SVG"),
        (b'{"detail": "not found"}', "looks like JSON"),
        ("Größe: nicht gefunden".encode(), "looks like text"),
        (b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09", "no known format begins with the bytes 00 01 02"),
        (b"\xff\x0a", "is truncated: there is no whole JPEG XL header"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "there is no JPEG XL codestream"),
        (b"SDPX" + bytes(50), "is DPX, which is not supported"),
        (b"\0\0\0\x18ftypisom\0\0\0\0mp41isom", "a video"),
        (b"\x1aE\xdf\xa3" + bytes(50), "is a Matroska or WebM video, which is not supported"),
        (b"RIFF\0\0\0\0AVI LIST" + bytes(50), "is an AVI video, which is not supported"),
        (b"Paint Shop Pro Image File\n\x1a" + bytes(50), "is a Paint Shop Pro document"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(50), "is a 7z archive"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, expected: str) -> None:
    assert expected in message(data)
    with pytest.raises(PictureError):
        read_header(data)


@pytest.mark.sample(5)
@pytest.mark.parametrize("kind", FILES)
def test_a_truncated_file_is_an_error_at_every_length(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = FILES[kind]
    read_picture(data)
    # The last two bytes of this GIF close it, those of this BMP fill a row up: no pixel is in them.
    last = len(data) - (3 if kind in ("gif", "bmp") else 1)
    if kind.startswith(("png", "jpeg")):
        last -= {"p": 12, "j": 2}[kind[0]]  # with all its pixels, a file may lack its end marker
    for length in {1, 2, 9, 13, 30, *np.linspace(0, last, 16).astype(int).tolist(), last}:
        message(data[:length])
    if not kind.startswith(("exr", "png")):  # OpenEXR's core and libpng print to standard error
        assert capfd.readouterr() == ("", "")


@pytest.mark.sample(5)
@pytest.mark.parametrize("times", [15, pytest.param(500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", FILES)
def test_damage_is_an_error_or_a_picture_but_nothing_else(kind: str, times: int) -> None:
    rng = np.random.default_rng(5)
    for _ in range(times):
        data = bytearray(FILES[kind])
        for place in rng.integers(0, min(len(data), rng.choice([64, 800, len(data)])), 3):
            data[place] = rng.integers(0, 256)
        with suppress(PictureError):
            assert read_header(bytes(data)).width > 0
        with suppress(PictureError):
            assert np.isfinite(read_picture(bytes(data), max_pixels=100_000).rgb).all()


def test_a_wrong_checksum_is_an_error() -> None:
    data = bytearray(FILES["png16"])
    data[-14] ^= 1  # in the checksum of IDAT, before the 12 bytes of IEND
    assert "CRC" in message(bytes(data))
    picture = read_picture(FILES["png"].replace(b"iCCPprofile", b"iCCPpro-ile"))
    assert picture.source.notices == ("the iCCP chunk has a wrong checksum; it is ignored",)
    assert picture.source.color_space == "sRGB (assumed)"


def test_a_damaged_exif_block_warns_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_picture(pillow(RGB8, "JPEG", exif=exif(6)[:14]))
    assert capfd.readouterr() == ("", "")


def huge_files() -> dict[str, bytes]:
    """Headers that claim 100 000 × 100 000 pixels (WebP: 16 383 squared), as small files."""
    side = 100_000
    jpeg = bytearray(FILES["jpeg"])
    start = jpeg.index(b"\xff\xc0") + 5
    jpeg[start : start + 4] = struct.pack(">HH", 65535, 65535)
    webp = bytearray(pillow(noise(channels=4), "WEBP", lossless=True, exif=exif(1)))
    webp[24:30] = (side - 1).to_bytes(3, "little") * 2
    flat = tiff(np.zeros((8, 8), np.uint8))
    for tag in (256, 257):
        entry = struct.pack("<HHI", tag, 4, 1)
        flat = flat.replace(entry + struct.pack("<I", 8), entry + struct.pack("<I", side))
    window = bytearray(exr({"Y": np.zeros((2, 2), np.float32)}))
    for name in (b"dataWindow\0box2i\0", b"displayWindow\0box2i\0"):
        at = window.index(name) + len(name) + 4
        window[at : at + 16] = struct.pack("<4i", 0, 0, side - 1, side - 1)
    grid = avif(RGB8)
    hdr = radiance(np.zeros((1, 1, 3), np.float32)).replace(b"-Y 1 +X 1", b"-Y 100000 +X 100000")
    bmp = bytearray(FILES["bmp"])
    bmp[18:26] = struct.pack("<ii", side, side)
    gif = bytearray(FILES["gif"])
    gif[6:10] = struct.pack("<HH", 65535, 65535)
    return {
        "png": raw_png(side, side, 16, 6, b""),
        "png header alone": raw_png(side, side, 16, 6, b"")[:33],
        "jpeg": bytes(jpeg),
        "webp": bytes(webp),
        "tiff": flat,
        "exr": bytes(window),
        "avif": grid.replace(struct.pack(">II", 50, 40), struct.pack(">II", side, side), 1),
        "hdr": hdr,
        "bmp": bytes(bmp),
        "gif": bytes(gif),
    }


@pytest.mark.parametrize("kind", huge_files())
def test_huge_headers_are_refused_before_anything_is_decoded(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = huge_files()[kind]
    header = read_header(data)
    assert header.width * header.height > 4e9

    def refuse(*_: Any) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(read, "whole_samples", refuse)
    tracemalloc.start()
    with pytest.raises(PictureTooLargeError, match="the limit is 150,000,000"):
        read_picture(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6


def test_the_limit_is_that_of_the_caller() -> None:
    data = FILES["png"]
    assert read_picture(data, max_pixels=2000).width == 40  # turned by EXIF
    assert message(data, max_pixels=1999) == "the data has 2,000 pixels (50 × 40), the limit is 1,999"


@pytest.mark.parametrize("kind", ["JPEG", "BMP", "GIF"])
def test_pillows_own_limit_is_not_in_the_way(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 100)
    assert read_picture(pillow(RGB8, kind)).width == 50


def test_an_exr_whose_data_window_is_larger_than_the_picture_counts_by_it() -> None:
    small = (np.array([0, 0], np.int32), np.array([0, 0], np.int32))
    data = exr({"Y": np.zeros((50, 50), np.float32)}, displayWindow=small)
    assert "2,500 pixels" in message(data, max_pixels=2000)


def test_tiles_larger_than_the_picture_count_by_their_size() -> None:
    tiles = OpenEXR.TileDescription()
    tiles.xSize = tiles.ySize = 512
    planes = {"Y": np.zeros((4, 4), np.float32)}
    for data in (
        tiff(noise(4, 4), photometric="rgb", tile=(512, 512)),
        exr(planes, type=OpenEXR.tiledimage, tiles=tiles),
    ):
        assert "262,144 pixels" in message(data, max_pixels=200_000)


def test_unsupported_exr_layouts_are_named() -> None:
    plane = np.zeros((4, 4), np.float32)
    assert "beauty.R" in message(exr({"beauty.R": plane, "beauty.G": plane, "beauty.X": plane}))
    assert "channel RY at every (1, 1) pixels" in message(exr({"Y": plane, "RY": plane, "BY": plane}))


def test_unsupported_tiff_layouts_are_named() -> None:
    wide = tiff(np.zeros((4, 4, 40), np.uint8), photometric="rgb", planarconfig="contig")
    assert "40 channels" in message(wide)


def test_a_tiff_whose_pages_form_a_loop_ends() -> None:
    data = bytearray(FILES["tiff"])
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    struct.pack_into("<I", data, start + 2 + 12 * count, start)
    assert read_picture(bytes(data)).width == 50


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    assert "does not exist" in message(tmp_path / "none.png")
    assert "is a directory" in message(tmp_path)
    assert "is a directory" in message("")
    assert "cannot be opened" in message("a\0b.png") or "does not exist" in message("a\0b.png")
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    assert "is not a file" in message(fifo)
    empty = tmp_path / "empty.png"
    empty.touch()
    assert message(empty) == "empty.png is empty"


def test_the_cause_is_kept() -> None:
    with pytest.raises(PictureError) as caught:
        read_picture(FILES["gif"][:-100])
    assert isinstance(caught.value.__cause__, OSError)


def test_what_pillow_says_for_its_authors_is_not_repeated() -> None:
    """An icon without a single entry: its plugin's IndexError, raised again by Pillow as another."""
    with pytest.raises(PictureError, match="it may be damaged: its parts do not fit each other"):
        read_picture(b"\0\0\1\0\0\0" + bytes(64))
