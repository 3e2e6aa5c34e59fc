"""PNG, 16 bits: the SDR rendering in sRGB, or the HDR picture in PQ. Alpha is straight.

The chunks that say which go between IHDR and IDAT (PNG third edition, 5.6).
"""

import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from hdr_files.job import Job
from hdr_files.pq import CICP, encode_pq
from hdr_files.sdr import encode_sdr

_SIGNATURE_AND_HEADER = 8 + 25
_INCH_IN_METRES = 0.0254
_RGB_MATRIX, _FULL_RANGE = 0, 1


def write_png(path: Path, job: Job) -> None:
    """Write sRGB that says so twice: cICP (H.273 code points 1, 13, 0, full range) and sRGB."""
    chunks = _chunk(b"cICP", bytes([1, 13, _RGB_MATRIX, _FULL_RANGE]))
    chunks += _chunk(b"sRGB", b"\x00")  # rendering intent: perceptual
    _write(path, encode_sdr(job, np.dtype(np.uint16)), chunks, job)


def write_png_pq(path: Path, job: Job) -> None:
    """Write PQ in BT.2020 (H.273 code points 9, 16, 0, full range) with its light levels."""
    coded, levels = encode_pq(job, 16)
    chunks = _chunk(b"cICP", bytes([*CICP[:2], _RGB_MATRIX, _FULL_RANGE]))
    chunks += _chunk(b"mDCV", struct.pack(">8H2I", *levels.mastering_display()))
    chunks += _chunk(b"cLLI", struct.pack(">2I", *levels.clli()))
    _write(path, coded, chunks, job)


def _write(path: Path, coded: NDArray[np.uint8 | np.uint16], chunks: bytes, job: Job) -> None:
    # Level 1, run lengths, Sub filter: 7 × faster than level 9 and no larger on photographs with grain.
    encoded = memoryview(imagecodecs.png_encode(coded, level=1, strategy=3, filter=16))
    with path.open("wb") as file:
        file.write(encoded[:_SIGNATURE_AND_HEADER])
        file.write(chunks)
        if job.resolution_dpi:
            per_metre = (round(value / _INCH_IN_METRES) for value in job.resolution_dpi)
            file.write(_chunk(b"pHYs", struct.pack(">2IB", *per_metre, 1)))
        if job.exif is not None:
            file.write(_chunk(b"eXIf", job.exif))
        file.write(_chunk(b"tEXt", b"Software\0" + job.options.software.encode()))
        file.write(_chunk(b"tEXt", b"Comment\0" + job.notes().encode()))
        file.write(encoded[_SIGNATURE_AND_HEADER:])


def _chunk(kind: bytes, data: bytes) -> bytes:
    """Length, type, data, CRC of type and data (PNG third edition, 5.3)."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
