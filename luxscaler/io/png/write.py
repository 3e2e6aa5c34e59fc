"""PNG, 16 bits: the SDR rendering in sRGB or another profile, or the HDR picture in PQ. Alpha is straight.

Chunks that name the colours go between IHDR and IDAT (PNG third edition, 5.6).
"""

import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from luxscaler.io.frame import Frame
from luxscaler.io.png.texts import text_chunks
from luxscaler.io.pq import LightLevels, PqSpace, encode_pq, pq_space
from luxscaler.io.profiles import OutputProfile
from luxscaler.io.sdr import as_written, encode_sdr

_SIGNATURE_AND_HEADER = 8 + 25
_ASPECT_UNIT = 1_000_000
_INCH_IN_METRES = 0.0254
_RGB_MATRIX, _FULL_RANGE = 0, 1


def write_png(path: Path, frame: Frame) -> None:
    """Write the SDR rendering, and chunks that name its colours. Raises OSError, and imagecodecs' errors."""
    coded = as_written(encode_sdr(frame, np.dtype(np.uint16)), frame)
    _write(path, coded, sdr_chunks(frame.profile) + notes_chunks(frame))


def write_png_pq(path: Path, frame: Frame) -> None:
    """Write PQ in BT.2020 or P3 (H.273 code points 9 or 12, 16, 0, full range) with its light levels."""
    coded, levels = encode_pq(frame, 16)
    _write(path, as_written(coded, frame), pq_chunks(levels, pq_space(frame)) + notes_chunks(frame))


def sdr_chunks(profile: OutputProfile) -> bytes:
    """The colour chunks of the SDR rendering.

    sRGB twice, as cICP (H.273 code points 1, 13, 0, full range) and as sRGB for older readers; another
    profile as iCCP.
    """
    if profile.name != "srgb":
        return chunk(b"iCCP", profile.name.encode() + b"\0\0" + zlib.compress(profile.icc(linear=False), 9))
    chunks = chunk(b"cICP", bytes([1, 13, _RGB_MATRIX, _FULL_RANGE]))
    return chunks + chunk(b"sRGB", b"\x00")  # rendering intent: perceptual


def pq_chunks(levels: LightLevels, space: PqSpace) -> bytes:
    """The chunks for PQ and its light levels: cICP, mDCV, cLLI; their length does not depend on the
    levels."""
    chunks = chunk(b"cICP", bytes([*space.cicp[:2], _RGB_MATRIX, _FULL_RANGE]))
    chunks += chunk(b"mDCV", struct.pack(">8H2I", *levels.mastering_display(space)))
    return chunks + chunk(b"cLLI", struct.pack(">2I", *levels.clli()))


def notes_chunks(frame: Frame) -> bytes:
    """The chunks for resolution or pixel aspect, EXIF, texts, XMP, software and notes."""
    chunks = b""
    if frame.resolution_dpi:
        per_metre = (round(value / _INCH_IN_METRES) for value in frame.resolution_dpi)
        chunks += chunk(b"pHYs", struct.pack(">2IB", *per_metre, 1))
    elif frame.pixel_aspect != 1:
        chunks += chunk(
            b"pHYs", struct.pack(">2IB", _ASPECT_UNIT, round(_ASPECT_UNIT * frame.pixel_aspect), 0)
        )
    if frame.exif is not None:
        chunks += chunk(b"eXIf", frame.exif)
    for kind, data in text_chunks(frame.inherited.texts, frame.inherited.xmp):
        chunks += chunk(kind, data)
    chunks += chunk(b"tEXt", b"Software\0" + frame.options.software.encode())
    return chunks + chunk(b"tEXt", b"Comment\0" + frame.notes().encode())


def _write(path: Path, coded: NDArray[np.uint8 | np.uint16], chunks: bytes) -> None:
    # Level 1, run lengths, Sub filter: 7 × faster than level 9 and no larger on photographs with grain.
    encoded = memoryview(imagecodecs.png_encode(coded, level=1, strategy=3, filter=16))
    with path.open("wb") as file:
        file.write(encoded[:_SIGNATURE_AND_HEADER])
        file.write(chunks)
        file.write(encoded[_SIGNATURE_AND_HEADER:])


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return length, type, data, CRC of type and data (PNG third edition, 5.3)."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
