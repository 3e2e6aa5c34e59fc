"""Makes the picture files that the reading tests read: nothing binary is committed."""

import struct
import zlib
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import OpenEXR
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

P3 = [0.680, 0.320, 0.265, 0.690, 0.150, 0.060]
ADOBE = [0.640, 0.330, 0.210, 0.710, 0.150, 0.060]
PNG_HEAD = 8 + 25


def noise(height: int = 24, width: int = 32, channels: int = 3, bits: int = 8, seed: int = 7) -> NDArray[Any]:
    dtype = np.uint8 if bits == 8 else np.uint16
    shape = (height, width, channels) if channels else (height, width)
    return np.random.default_rng(seed).integers(0, 2**bits, shape, dtype)


def srgb(values: Any) -> NDArray[np.float64]:
    """The closed formula, written apart from luxscaler.color."""
    v = np.asarray(values, np.float64)
    return np.where(v <= 0.04045, v / 12.92, ((np.abs(v) + 0.055) / 1.055) ** 2.4)


def pillow(array: NDArray[Any] | Image.Image, format: str, **options: Any) -> bytes:  # noqa: A002
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(array: NDArray[Any], *chunks: tuple[bytes, bytes]) -> bytes:
    """8- or 16-bit PNG with more chunks before the pixels."""
    file = bytes(imagecodecs.png_encode(np.ascontiguousarray(array)))
    return file[:PNG_HEAD] + b"".join(chunk(*c) for c in chunks) + file[PNG_HEAD:]


def raw_png(
    width: int, height: int, bits: int, kind: int, rows: bytes, *chunks: tuple[bytes, bytes]
) -> bytes:
    """A PNG from packed scanlines, each with its filter byte."""
    head = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def iccp(profile: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"profile\0\0" + zlib.compress(profile)


def tiff(array: NDArray[Any], **options: Any) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, array, metadata=None, **options)
    return file.getvalue()


def exr(channels: Mapping[str, NDArray[Any]], **header: Any) -> bytes:
    file = BytesIO()
    head = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **header}
    planes = {name: np.ascontiguousarray(plane) for name, plane in channels.items()}
    with OpenEXR.File(head, planes) as image:
        image.write(file)
    return file.getvalue()


def exr_of_chroma(
    y: NDArray[Any],
    ry: NDArray[Any],
    by: NDArray[Any],
    alpha: NDArray[Any] | None = None,
    *,
    data: tuple[int, int] = (0, 0),
    display: tuple[int, int, int, int] | None = None,
    chromaticities: list[float] | None = None,
) -> bytes:
    """An uncompressed luminance/chroma EXR, byte by byte: OpenEXR's Python binding writes no such file right.

    data: left and top of the data window, even. display: left, top, right, bottom.
    """
    (left, top), (height, width) = data, y.shape
    window = (left, top, left + width - 1, top + height - 1)
    planes = [("A", alpha, 1)] if alpha is not None else []
    planes += [("BY", by, 2), ("RY", ry, 2), ("Y", y, 1)]
    kinds = {np.dtype(np.float16): 1, np.dtype(np.float32): 2}
    channels = [
        name.encode() + b"\0" + struct.pack("<iBxxxii", kinds[plane.dtype], 0, step, step)
        for name, plane, step in planes
    ]
    attributes = [
        ("channels", "chlist", b"".join(channels) + b"\0"),
        ("compression", "compression", b"\0"),
        ("dataWindow", "box2i", struct.pack("<4i", *window)),
        ("displayWindow", "box2i", struct.pack("<4i", *(display or window))),
        ("lineOrder", "lineOrder", b"\0"),
        ("pixelAspectRatio", "float", struct.pack("<f", 1)),
        ("screenWindowCenter", "v2f", bytes(8)),
        ("screenWindowWidth", "float", struct.pack("<f", 1)),
    ]
    if chromaticities:
        attributes.append(("chromaticities", "chromaticities", struct.pack("<8f", *chromaticities)))
    head = b"\x76\x2f\x31\x01\2\0\0\0"
    for name, kind, value in attributes:
        head += name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<I", len(value)) + value
    head += b"\0"
    lines, places = b"", b""
    for row in range(height):
        samples = b"".join(plane[row // step].tobytes() for _, plane, step in planes if row % step == 0)
        places += struct.pack("<Q", len(head) + 8 * height + len(lines))
        lines += struct.pack("<iI", top + row, len(samples)) + samples
    return head + places + lines


def avif(array: NDArray[Any], bits: int = 8, **options: Any) -> bytes:
    """Lossless AVIF."""
    options = {"primaries": 1, "transfer": 13, "matrix": 1 if array.ndim == 2 else 0, **options}
    return bytes(imagecodecs.avif_encode(array, level=100, speed=9, bitspersample=bits, **options))


def radiance(
    array: NDArray[Any], *header: str, rle: bool = True, resolution: str = "", kind: str = "rgbe"
) -> bytes:
    """Radiance .hdr with more lines in its header."""
    height, width = array.shape[:2]
    lines = ["#?RADIANCE", "# a comment with EXPOSURE=9", f"FORMAT=32-bit_rle_{kind}", *header, ""]
    lines.append(resolution or f"-Y {height} +X {width}")
    pixels = imagecodecs.rgbe_encode(np.ascontiguousarray(array, np.float32), header=False, rle=rle)
    return "".join(f"{line}\n" for line in lines).encode() + bytes(pixels)


def jxl(array: NDArray[Any], **options: Any) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(np.ascontiguousarray(array), **options))


def dng(
    mosaic: NDArray[Any], *, white: tuple[float, float, float] = (1, 1, 1), orientation: int = 1
) -> bytes:
    """A camera's raw file: red at (0, 0), blue at (1, 1), Rec.709 primaries; `white` as it sees it."""
    to_rgb = np.array([[3.2404542, -1.5371385, -0.4985314], [-0.969266, 1.8760108, 0.041556]])
    to_rgb = np.vstack([to_rgb, [0.0556434, -0.2040259, 1.0572252]])

    def rationals(values: Any) -> tuple[int, ...]:
        return tuple(part for value in values for part in (round(float(value) * 10000), 10000))

    tags = [
        (271, 2, 0, "Acme", True),
        (274, 3, 1, orientation, True),
        (33421, 3, 2, (2, 2), True),
        (33422, 1, 4, bytes([0, 1, 1, 2]), True),
        (50706, 1, 4, bytes([1, 4, 0, 0]), True),
        (50707, 1, 4, bytes([1, 1, 0, 0]), True),
        (50708, 2, 0, "Acme Box", True),
        (50717, 3, 1, 65535, True),
        (50721, 10, 9, rationals(to_rgb.ravel()), True),
        (50728, 5, 3, rationals(white), True),
        (50778, 3, 1, 21, True),
    ]
    return tiff(mosaic, photometric="cfa", extratags=tags)


def rgb_profile(primaries: list[float], gamma: float | None = 2.2) -> bytes:
    """A matrix profile with D65; gamma None gives it the sRGB curve."""
    if gamma is not None:
        return bytes(
            imagecodecs.cms_profile("rgb", whitepoint=[0.3127, 0.3290], primaries=primaries, gamma=gamma)
        )
    table = np.round(srgb(np.linspace(0, 1, 4096)) * 65535).astype(np.uint16)
    return bytes(
        imagecodecs.cms_profile(
            "rgb", whitepoint=[0.3127, 0.3290], primaries=primaries, transferfunction=table
        )
    )


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def cmyk_profile() -> bytes:
    """A made-up press, with a Lab colour for each corner of the ink cube."""
    paper = [tuple((1 - ink) * (1 - k) for ink in (c, m, y)) for c, m, y, k in np.ndindex(2, 2, 2, 2)]
    return _table_profile(b"prtrCMYKLab ", b"A press", 4, paper)


def lut_profile() -> bytes:
    """A made-up scanner: RGB through a table of Lab colours in which the channels are not additive."""
    return _table_profile(b"scnrRGB Lab ", b"A scanner", 3, list(np.ndindex(2, 2, 2)))


def _table_profile(kind: bytes, name: bytes, inputs: int, corners: list[tuple[int, ...]]) -> bytes:
    """A version 2 profile with one lut8Type (ICC.1:2001-04, section 6.5.8) with two steps per channel."""
    ramp = bytes(range(256))
    lut = struct.pack(">4sxxxxBBBx", b"mft1", inputs, 3, 2)
    lut += struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536) + ramp * inputs
    for r, g, b in corners:
        lut += bytes([round((30 * r + 50 * g + 20 * b) * 2.55), 128 + 60 * (r - g), 128 + 60 * (g - b)])
    lut += ramp * 3
    white = struct.pack(">3i", 63190, 65536, 54061)
    desc = b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name + b"\0" + bytes(12 + 67)
    tags = [(b"desc", desc), (b"wtpt", b"XYZ \0\0\0\0" + white), (b"A2B0", lut)]
    offset = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for tag, data in tags:
        table += struct.pack(">4sII", tag, offset + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = bytearray(128)
    head[0:4] = struct.pack(">I", offset + len(body))
    head[8:12] = b"\x02\x40\0\0"
    head[12:24] = kind
    head[36:40] = b"acsp"
    head[68:80] = white
    return bytes(head) + table + body


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), name) + body


def exif(orientation: int, *, adobe: bool = False) -> bytes:
    block = Image.Exif()
    block[274] = orientation
    if adobe:
        block.get_ifd(0x8769)[0xA001] = 65535
        block.get_ifd(0x8769)[0xA005] = {1: "R03"}
    return block.tobytes()
