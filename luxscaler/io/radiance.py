"""Radiance .hdr: the header by hand, pixels of shared exponents by imagecodecs.

A pixel stands for mantissa × 2^(exponent - 136), as in Bruce Walter's reader, which most programs use. The
header's EXPOSURE and COLORCORR are what the values were multiplied by, so they are divided out; PIXASPECT is
handed on. Read are the run-length coding of 1991 and pixels without one; the older coding is refused.
Source: Radiance, "Picture file format" (ray/doc/filefmts, chapter 5).
"""

import math
import re
from typing import BinaryIO

import imagecodecs
import numpy as np

from luxscaler.color import EQUAL_ENERGY, Primaries, apply_matrix, xyz_to_rec709
from luxscaler.errors import PictureError
from luxscaler.io.color_encoding import LINEAR_ASSUMED, ColorCoding, from_chromaticities, keep_linear
from luxscaler.io.decoder import FileInfo, Samples
from luxscaler.io.exif.read import Metadata, with_more

_MAX_HEADER = 1 << 16
_RESOLUTION = re.compile(rb"([+-])([XY]) +(\d{1,7}) +([+-])([XY]) +(\d{1,7})\Z")
# Signs and order of the two axes, rows of the file first → EXIF orientation. Y points up.
_ORIENTATIONS = {
    b"-Y+X": 1,
    b"-Y-X": 2,
    b"+Y-X": 3,
    b"+Y+X": 4,
    b"+X-Y": 5,
    b"-X-Y": 6,
    b"-X+Y": 7,
    b"+X+Y": 8,
}
_TURNED = (5, 6, 7, 8)
_FORMATS = (b"32-bit_rle_rgbe", b"32-bit_rle_xyze")
_NEW_CODING = range(8, 32768)
_BYTES_PER_PIXEL = 4
_MAX_GAIN = 1e12  # beyond it the header is taken for damaged


def read_info(stream: BinaryIO) -> FileInfo:
    """Read the header."""
    variables, resolution = _header(stream)
    height, width = int(resolution[3]), int(resolution[6])
    if width < 1 or height < 1:
        raise PictureError(f"has a damaged Radiance header: {width} × {height}")
    coding, notices = _coding(variables)
    orientation = _ORIENTATIONS[b"".join(resolution.group(1, 2, 4, 5))]
    aspect = _pixel_aspect(variables)
    if not (_gains(variables) == 1).all():
        notices += ("the exposure that the header names was undone",)
    if any(name == b"GAMMA" and _numbers(value, 1) != [1.0] for name, value in variables):
        notices += ("the header names a GAMMA, which Radiance does not know: the values are read as linear",)
    return FileInfo(
        format="hdr",
        width=width,
        height=height,
        bits=32,
        channels=3,
        coding=coding,
        is_float=True,
        orientation=orientation,
        notices=notices,
        # The header speaks of the picture as it is shown, Metadata of that in the file.
        metadata=with_more(Metadata(), pixel_aspect=1 / aspect if orientation in _TURNED else aspect),
    )


def read_samples(stream: BinaryIO, info: FileInfo) -> Samples:
    """Decode to float32, before any exposure."""
    variables, _ = _header(stream)
    data = stream.read()
    samples = np.empty((info.height, info.width, 3), np.float32)
    coded = data[:2] == b"\x02\x02" and len(data) > 2 and data[2] < 128 and info.width in _NEW_CODING
    needed = _BYTES_PER_PIXEL * info.width * info.height
    if not coded and len(data) < needed:
        raise PictureError("is truncated, or uses Radiance's old run-length coding, which is not supported")
    imagecodecs.rgbe_decode(data if coded else data[:needed], header=False, rle=coded, out=samples)
    samples /= _gains(variables)
    # Radiance's white is that of equal energy.
    return apply_matrix(samples, xyz_to_rec709(EQUAL_ENERGY)) if _is_xyz(variables) else samples


def _header(stream: BinaryIO) -> tuple[list[tuple[bytes, bytes]], re.Match[bytes]]:
    """The variables and the resolution; the stream then stands at the pixels."""
    stream.seek(0)
    head = stream.read(_MAX_HEADER)
    lines, _, rest = head.partition(b"\n\n")
    resolution, newline, _ = rest.partition(b"\n")
    found = _RESOLUTION.match(resolution.strip())
    if not newline or found is None or found[2] == found[5]:
        raise PictureError("has a damaged Radiance header: there is no resolution")
    stream.seek(len(lines) + 2 + len(resolution) + 1)
    # Indented lines tell of the pictures that this one was made of.
    pairs = [line.partition(b"=") for line in lines.split(b"\n")[1:] if line[:1] not in (b"#", b"\t", b" ")]
    variables = [(name.strip().upper(), value.strip()) for name, equals, value in pairs if equals]
    stored = dict(variables).get(b"FORMAT", _FORMATS[0])
    if stored not in _FORMATS:
        raise PictureError(f"has the Radiance format {stored[:40]!r}, which is not supported")
    return variables, found


def _numbers(text: bytes, count: int) -> list[float]:
    """The numbers of a variable; nothing where they are not so many, or not finite."""
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        return []
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else []


def _gains(variables: list[tuple[bytes, bytes]]) -> Samples:
    """What the three channels were multiplied by: each program adds its own line, and they multiply."""
    gains = np.ones(3)
    for name, value in variables:
        factors = _numbers(value, {b"EXPOSURE": 1, b"COLORCORR": 3}.get(name, 0))
        if factors and min(factors) > 0:
            gains *= factors
    usable = gains.min() >= 1 / _MAX_GAIN and gains.max() <= _MAX_GAIN
    return (gains if usable else np.ones(3)).astype(np.float32)


def _pixel_aspect(variables: list[tuple[bytes, bytes]]) -> float:
    """Width / height of a pixel. PIXASPECT is height / width, and the lines of several programs multiply."""
    product = 1.0
    for name, value in variables:
        ratio = _numbers(value, 1) if name == b"PIXASPECT" else []
        product *= ratio[0] if ratio and ratio[0] > 0 else 1.0
    return 1 / product if 1 / _MAX_GAIN < product < _MAX_GAIN else 1.0


def _is_xyz(variables: list[tuple[bytes, bytes]]) -> bool:
    return dict(variables).get(b"FORMAT") == _FORMATS[1]


def _coding(variables: list[tuple[bytes, bytes]]) -> tuple[ColorCoding, tuple[str, ...]]:
    if _is_xyz(variables):
        return ColorCoding("Radiance XYZ", keep_linear), ()
    said = dict(variables).get(b"PRIMARIES")
    values = _numbers(said or b"", 8)
    if not values:
        return LINEAR_ASSUMED, ("the PRIMARIES are no 8 numbers; Rec.709 is assumed",) if said else ()
    red, green, blue, white = zip(values[0::2], values[1::2], strict=True)
    return from_chromaticities("linear, Radiance primaries", keep_linear, Primaries(red, green, blue, white))
