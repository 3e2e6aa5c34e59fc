"""Pictures written row by row and whole, and whether the two files say the same."""

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenEXR
import tifffile
from numpy.typing import NDArray
from PIL import Image

from luxscaler.io.options import ExportOptions
from luxscaler.io.write import export, open_stream

FloatArray = NDArray[np.float32]
Picture = tuple[FloatArray, FloatArray | None]
SUFFIX = {"exr": ".exr", "tiff": ".tif", "tiff16": ".tif", "png": ".png", "png-pq": ".png"}
METADATA: dict[str, str | float | int] = {
    "hdr_boost": 4.0,
    "model": "photo",
    "seed": 2**40,
    "tiles": 3,
    "place": "Zürich",
}
OPTIONS = ExportOptions(sdr_peak=6.0, estimated_range=True, software="LuxScaler 0.1.0", exr_compression="zip")
"""The codec is named: `auto` looks at other samples where there are rows."""


def source_exif() -> bytes:
    exif = Image.Exif()
    exif[271], exif[33432] = "Maker", "(c) 2026 A. Photographer"
    exif.get_ifd(0x8769)[0x9003] = "2026:05:04 03:02:01"
    return exif.tobytes().removeprefix(b"Exif\0\0")


ABOUT: dict[str, Any] = {"metadata": METADATA, "resolution_dpi": (300.0, 300.0), "exif": source_exif()}


def picture(height: int, width: int, with_alpha: bool, seed: int = 0) -> Picture:
    """Values from deep shadow to 60 × white, negatives, and flat places that compress."""
    rng = np.random.default_rng(seed)
    rgb = (2.0 ** rng.uniform(-9, 6, (height, width, 3))).astype(np.float32)
    rgb[rng.random((height, width)) < 0.1] *= -0.3
    rgb[height // 2 :, : width // 2] = 0.25
    return rgb, rng.random((height, width), np.float32) if with_alpha else None


def stream(path: Path, made: Picture, splits: Iterator[int] | None = None, **arguments: Any) -> None:
    """Write in bands of the given numbers of rows; the buffer is spoilt after each, as a caller may do."""
    rgb, alpha = made
    height, width = rgb.shape[:2]
    with open_stream(path, width, height, has_alpha=alpha is not None, **arguments) as writer:
        top = 0
        while top < height:
            rows = slice(top, top + (next(splits) if splits else 37))
            buffer, mask = rgb[rows].copy(), None if alpha is None else alpha[rows].copy()
            writer.write(buffer, mask)
            buffer.fill(-1)
            top = rows.stop


def both(folder: Path, made: Picture, name: str, **arguments: Any) -> tuple[Path, Path]:
    """(by `export`, by `open_stream`)."""
    whole, rows = folder / f"whole{SUFFIX[name]}", folder / f"rows{SUFFIX[name]}"
    export(whole, *made, file_format=name, **arguments)
    splits = arguments.pop("splits", None)
    stream(rows, made, splits, file_format=name, **arguments)
    return whole, rows


def exr(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """(header, channels) by OpenEXR."""
    with OpenEXR.File(str(path), separate_channels=True) as file:
        header = {key: str(value) for key, value in file.header().items() if key != "tiles"}
        tiles = file.header().get("tiles")
        if tiles is not None:
            header["tiles"] = str((tiles.xSize, tiles.ySize, tiles.mode, tiles.roundingMode))
        return header, {name: channel.pixels for name, channel in file.channels().items()}


def chunks(path: Path) -> list[tuple[bytes, bytes]]:
    """All chunks of a PNG; signature and each CRC are checked."""
    data, at = path.read_bytes(), 8
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    found = []
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length)[0] == zlib.crc32(body)
        found.append((body[:4], body[4:]))
        at += 12 + length
    return found


def png_samples(path: Path) -> NDArray[np.uint16]:
    """A decoder of PNG's filters None and Sub, written from the standard; zlib checks Adler-32."""
    found = chunks(path)
    width, height, bits, kind = struct.unpack(">2I2B", found[0][1][:10])
    assert bits == 16
    channels = {2: 3, 6: 4}[kind]
    raw = zlib.decompress(b"".join(body for name, body in found if name == b"IDAT"))
    rows = np.frombuffer(raw, np.uint8).reshape(height, 1 + width * channels * 2)
    assert set(rows[:, 0]) <= {0, 1}
    pixels = rows[:, 1:].reshape(height, width, channels * 2)
    summed = np.cumsum(pixels, axis=1, dtype=np.uint8)
    decoded = np.where((rows[:, 0] == 1)[:, None, None], summed, pixels)
    return np.ascontiguousarray(decoded).view(">u2").astype(np.uint16)


def assert_same_exr(whole: Path, rows: Path) -> None:
    (header, channels), (streamed_header, streamed) = exr(whole), exr(rows)
    assert streamed_header == header
    assert list(streamed) == list(channels)
    for name, values in channels.items():
        assert streamed[name].dtype == values.dtype
        assert streamed[name].tobytes() == values.tobytes()


def assert_same_tiff(whole: Path, rows: Path) -> None:
    layout = {"StripOffsets", "StripByteCounts", "RowsPerStrip"}
    layout |= {"TileOffsets", "TileByteCounts", "TileWidth", "TileLength"}
    with tifffile.TiffFile(whole) as one, tifffile.TiffFile(rows) as other:
        pages = one.pages.first, other.pages.first
        tags = [{tag.name: tag.value for tag in page.tags if tag.name not in layout} for page in pages]
        assert tags[1] == tags[0]
        assert pages[1].is_tiled
        assert pages[1].asarray().tobytes() == pages[0].asarray().tobytes()
        assert pages[1].shape == pages[0].shape


def assert_same_png(whole: Path, rows: Path) -> None:
    """Every chunk, in the same order, and the codes; only how many bytes the codes take may differ."""
    found = [[c for c in chunks(path) if c[0] != b"IDAT"] for path in (whole, rows)]
    assert found[1] == found[0]
    np.testing.assert_array_equal(png_samples(rows), png_samples_by_opencv(whole))


def png_samples_by_opencv(path: Path) -> NDArray[np.uint16]:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    assert pixels.dtype == np.uint16
    return np.ascontiguousarray(pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]).astype(np.uint16)


SAME: dict[str, Callable[[Path, Path], None]] = {
    "exr": assert_same_exr,
    "tiff": assert_same_tiff,
    "tiff16": assert_same_tiff,
    "png": assert_same_png,
    "png-pq": assert_same_png,
}


def names(folder: Path) -> list[str]:
    """What is in it, hidden files too."""
    return sorted(path.name for path in folder.iterdir())
