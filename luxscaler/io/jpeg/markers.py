"""The markers of a JPEG: how many scans it has, and files that are whole but for their framing.

Source: ITU-T T.81, annex B.
"""

from collections.abc import Callable
from io import BytesIO
from typing import BinaryIO

import numpy as np

from luxscaler.errors import PictureError
from luxscaler.io.decoder import Samples

_SOI, _SOS, _EOI = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xDA)}
_FILLED = (127, 128)
"""Samples of a block without coefficients; 127 where inks are inverted."""
_FILLERS = (bytes([0x5A, 0x13, 0xC7, 0x2E]) * 32, bytes([0xA5, 0x68, 0x31, 0xD4]) * 32)
"""Two patterns of coded data that no whole scan reads."""


def scans_of(stream: BinaryIO) -> tuple[int, bool]:
    """How many scans the first picture has, and whether its end marker is there."""
    stream.seek(0)
    data = stream.read()
    start = _first_scan(data)
    end = data.find(_EOI, start)  # coded data holds no marker
    return max(1, data.count(_SOS, start, end if end >= 0 else len(data))), end >= 0


def from_first_marker(stream: BinaryIO) -> BinaryIO:
    """The stream at its beginning, without bytes between the first two markers: Pillow alone refuses
    those."""
    stream.seek(0)
    head = stream.read(1 << 16)
    stream.seek(0)
    if head[2:3] == b"\xff":
        return stream
    at = head.find(b"\xff", 2)
    return stream if at < 0 else BytesIO(_SOI + stream.read()[at:])


def whole_without_end(stream: BinaryIO, decode: Callable[[BinaryIO], Samples]) -> Samples:
    """Decode a file that lacks its end marker. Raises PictureError where pixels are missing too.

    If they are, bytes that are appended to the data are decoded as pixels, so two different fillers give
    different pictures.
    """
    stream.seek(0)
    data = stream.read()
    samples = decode(BytesIO(data + _EOI))
    for filler in _FILLERS:
        if not np.array_equal(samples, decode(BytesIO(data + filler + _EOI))):
            raise PictureError("is truncated: the JPEG ends before its last row")
    return samples


def check_last_rows(stream: BinaryIO, samples: Samples, decode: Callable[[BinaryIO], Samples]) -> None:
    """Raise PictureError for a file that was cut off and then given an end marker.

    libjpeg fills what is missing with grey, so only pictures whose last pixel has it are looked at. Of a
    progressive file that lacks its last scans no pixel is missing.
    """
    last = samples[-1, -1]
    if last.min() < min(_FILLED) or last.max() > max(_FILLED):
        return
    stream.seek(0)
    data = stream.read()
    whole_without_end(BytesIO(data[: data.find(_EOI, _first_scan(data))]), decode)


def check_whole(stream: BinaryIO, decode: Callable[[BinaryIO], Samples]) -> Samples:
    """Decode a file of which nothing is known by its last pixel. Raises PictureError where pixels are
    missing."""
    stream.seek(0)
    data = stream.read()
    end = data.find(_EOI, _first_scan(data))
    return whole_without_end(BytesIO(data if end < 0 else data[:end]), decode)


def _first_scan(data: bytes) -> int:
    """Where the first scan begins; thumbnails in the segments before it have scans of their own."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            at = data.find(b"\xff", at)
            if at < 0:
                break
            continue
        kind = data[at + 1]
        if kind == 0xDA:
            return at
        if kind == 0xFF:
            at += 1
        elif kind in _WITHOUT_LENGTH or kind == 0:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return len(data)
